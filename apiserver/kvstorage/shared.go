package kvstorage

import (
	"bytes"
	"io"
	"sync"

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
	size     int // under the lock of the audience

	mu    sync.Mutex
	forms map[runtime.Identifier][]byte
}

// form is what an encoder makes of the object.
func (s *shared) form(id runtime.Identifier, encode func(runtime.Object, io.Writer) error) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, ok := s.forms[id]; ok {
		return data, nil
	}
	var data bytes.Buffer
	if err := s.encode(encode, &data); err != nil {
		return nil, err
	}
	s.forms[id] = data.Bytes()
	s.audience.mu.Lock()
	defer s.audience.mu.Unlock()
	s.audience.grow(s, data.Len())
	return data.Bytes(), nil
}

func (s *shared) encode(encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	return encode(embedded{s.DeepCopyObject()}, w) // an encoder may set fields while it encodes
}

// embedded is an object within the event that is encoded. An encoder of events keeps a buffer as long as its watch lives;
// what it is handed this way is not copied into that.
type embedded struct{ runtime.Object }

var _ runtime.CacheableObject = embedded{}

// CacheEncode implements runtime.CacheableObject.
func (e embedded) CacheEncode(_ runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
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
func (e embedded) GetObject() runtime.Object { return e.Object }
