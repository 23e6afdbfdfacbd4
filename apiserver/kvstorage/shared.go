package kvstorage

import (
	"bytes"
	"io"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// shared is an object that every watcher of its event is sent: decoded once, and encoded once in each form that somebody
// asks for. Nobody may change it.
type shared struct {
	runtime.Object
	made sync.Once
	err  error

	audience *Audience
	at       sighting
	size     int
	// Under the lock of the audience.
	users int
	kept  bool
	forms map[runtime.Identifier]*form
}

// form is what an encoder makes of the object. It is there as long as somebody writes it, or the object is kept.
type form struct {
	made  sync.Once
	users int
	data  []byte // changed under the lock of the audience
	err   error
}

func (s *shared) encode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	f := s.use(id)
	defer s.leave(id, f)
	f.made.Do(func() {
		var data bytes.Buffer
		f.err = encode(&embedded{s.DeepCopyObject()}, &data) // an encoder may set fields while it encodes
		s.grow(f, data.Bytes())
	})
	if f.err != nil {
		return f.err
	}
	_, err := w.Write(f.data)
	return err
}

func (s *shared) use(id runtime.Identifier) *form {
	s.audience.mu.Lock()
	defer s.audience.mu.Unlock()
	f, ok := s.forms[id]
	if !ok {
		f = new(form)
		s.forms[id] = f
	}
	f.users++
	return f
}

func (s *shared) grow(f *form, data []byte) {
	s.audience.mu.Lock()
	defer s.audience.mu.Unlock()
	f.data = data
	if s.kept {
		s.audience.grow(len(data))
	}
}

func (s *shared) leave(id runtime.Identifier, f *form) {
	s.audience.mu.Lock()
	defer s.audience.mu.Unlock()
	f.users--
	if !s.kept {
		s.forget(id, f)
	}
}

// forget needs the lock.
func (s *shared) forget(id runtime.Identifier, f *form) {
	if f.users == 0 {
		delete(s.forms, id)
	}
}

// embedded is an object within the event that is encoded. An encoder of events keeps a buffer as long as its watch lives;
// what it is handed this way is not copied into that.
type embedded struct{ runtime.Object }

var _ runtime.CacheableObject = (*embedded)(nil)

// CacheEncode implements runtime.CacheableObject.
func (e *embedded) CacheEncode(_ runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	splice, ok := w.(runtime.Splice)
	if !ok {
		return encode(e.Object, w)
	}
	var data bytes.Buffer
	if err := encode(e.Object, &data); err != nil {
		return err
	}
	splice.Splice(data.Bytes())
	return nil
}

// GetObject implements runtime.CacheableObject.
func (e *embedded) GetObject() runtime.Object { return e.Object }

// GetObjectMeta implements metav1.ObjectMetaAccessor, to be read.
func (s *shared) GetObjectMeta() metav1.Object {
	m, err := meta.Accessor(s.Object)
	if err != nil {
		return nil
	}
	return m
}
