package kvstorage

import (
	"io"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// post is events of one kind on their way to one client, in the place of the object of one event: whoever serves the watch
// encodes it, and by that each of them.
type post struct {
	tellings []telling
	first    bool // the client was sent nothing before
	taken    chan struct{}
	take     func()
}

var _ runtime.CacheableObject = (*post)(nil)

// newPost makes a post of as many tellings as one may hold, from the first on.
func newPost(all []telling, first bool) *post {
	n := 1
	if other := slices.IndexFunc(all, func(t telling) bool { return t.kind != all[0].kind }); !first && other < 0 {
		n = len(all)
	} else if !first {
		n = other
	}
	p := &post{tellings: all[:n], first: first, taken: make(chan struct{})}
	p.take = sync.OnceFunc(func() { close(p.taken) })
	return p
}

// CacheEncode implements runtime.CacheableObject. An encoder of tables tells the columns only once, and is another one from
// then on; so what a client is sent first is one event, and encoded for it alone.
func (p *post) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	defer p.take()
	if p.first {
		return p.tellings[0].encode(encode, w)
	}
	for _, t := range p.tellings {
		data, err := t.form(id, encode)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// GetObject implements runtime.CacheableObject.
func (p *post) GetObject() runtime.Object { return p.tellings[0].DeepCopyObject() }

// GetObjectKind implements runtime.Object.
func (p *post) GetObjectKind() schema.ObjectKind { return p.tellings[0].GetObjectKind() }

// DeepCopyObject implements runtime.Object.
func (p *post) DeepCopyObject() runtime.Object { return p.GetObject() }
