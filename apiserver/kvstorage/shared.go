package kvstorage

import (
	"bytes"
	"io"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// shared is an object that every watcher of its event is sent: decoded once, and encoded once in each form that somebody
// asks for. Nobody may change it.
type shared struct {
	runtime.Object
	size  int // of its value
	mu    sync.Mutex
	forms map[runtime.Identifier]*form
}

var _ runtime.CacheableObject = (*shared)(nil)

// form is what an encoder makes of the object.
type form struct {
	once sync.Once
	data []byte
	err  error
}

// CacheEncode implements runtime.CacheableObject.
func (s *shared) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	f := s.form(id)
	f.once.Do(func() {
		var data bytes.Buffer
		f.err = encode(s.GetObject(), &data) // an encoder may set fields while it encodes
		f.data = data.Bytes()
	})
	if f.err != nil {
		return f.err
	}
	_, err := w.Write(f.data)
	return err
}

func (s *shared) form(id runtime.Identifier) *form {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.forms[id]
	if !ok {
		f = new(form)
		s.forms[id] = f
	}
	return f
}

// GetObject implements runtime.CacheableObject.
func (s *shared) GetObject() runtime.Object { return s.DeepCopyObject() }

// GetObjectMeta implements metav1.ObjectMetaAccessor, to be read.
func (s *shared) GetObjectMeta() metav1.Object {
	m, err := meta.Accessor(s.Object)
	if err != nil {
		return nil
	}
	return m
}

// sighting is an object as a watcher sees it: as it is since a revision, or as it was when it went at that revision.
type sighting struct {
	key  string
	rev  store.Revision
	gone bool
}

// maxRecent bounds the values whose objects are kept; the newest is kept whatever its size.
const maxRecent = 4 << 20

// recent are the objects of the latest events: watchers see the same ones at about the same time.
type recent struct {
	mu    sync.Mutex
	by    map[sighting]*shared
	order []sighting // oldest first
	bytes int
}

// get returns the object of a sighting; when it is not kept, it is made and kept.
func (r *recent) get(at sighting, value []byte, decode func() (runtime.Object, error)) (*shared, error) {
	r.mu.Lock()
	defer r.mu.Unlock() // while it is decoded too: those who wait want the same
	if known, ok := r.by[at]; ok {
		return known, nil
	}
	obj, err := decode()
	if err != nil {
		return nil, err
	}
	made := &shared{Object: obj, size: len(value), forms: map[runtime.Identifier]*form{}}
	r.keep(at, made)
	return made, nil
}

func (r *recent) keep(at sighting, s *shared) {
	if r.by == nil {
		r.by = map[sighting]*shared{}
	}
	for len(r.order) > 0 && r.bytes+s.size > maxRecent {
		oldest := r.order[0]
		r.order, r.bytes = r.order[1:], r.bytes-r.by[oldest].size
		delete(r.by, oldest)
	}
	r.by[at], r.order, r.bytes = s, append(r.order, at), r.bytes+s.size
}
