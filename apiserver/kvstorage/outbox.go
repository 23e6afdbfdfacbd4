package kvstorage

import (
	"context"
	"errors"
	"io"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What one watch may have under way: that many events, and another only while they are small.
const (
	maxOut      = 16
	maxOutBytes = 64 << 10
)

// outbox is what a watch has under way to its client.
type outbox struct {
	freed chan struct{} // holds one when something was taken

	mu    sync.Mutex
	out   map[*parcel]struct{}
	bytes int
}

func newOutbox() *outbox {
	return &outbox{freed: make(chan struct{}, 1), out: map[*parcel]struct{}{}}
}

// open says that another event may be sent.
func (o *outbox) open() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.out) == 0 || len(o.out) < maxOut && o.bytes < maxOutBytes
}

// wait returns when it is open.
func (o *outbox) wait(ctx context.Context) error {
	for !o.open() {
		select {
		case <-o.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// pack makes a parcel of an object in use, and of the room that it takes.
func (o *outbox) pack(s *shared, size int, giveBack func()) *parcel {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := &parcel{outbox: o, object: s, size: size, giveBack: giveBack}
	o.out[p] = struct{}{}
	o.bytes += size
	return p
}

// unpack is the end of a parcel; it may come twice.
func (o *outbox) unpack(p *parcel) {
	o.mu.Lock()
	_, under := o.out[p]
	delete(o.out, p)
	s := p.object
	if under {
		o.bytes -= p.size
		p.object = nil
	}
	o.mu.Unlock()
	if !under {
		return
	}
	s.audience.leave(s)
	p.giveBack()
	select {
	case o.freed <- struct{}{}:
	default:
	}
}

// clear ends all parcels; their client is gone.
func (o *outbox) clear() {
	o.mu.Lock()
	var left []*parcel
	for p := range o.out {
		left = append(left, p)
	}
	o.mu.Unlock()
	for _, p := range left {
		o.unpack(p)
	}
}

// parcel is an object on its way to one client. It takes its room until it was encoded, which can be done once.
type parcel struct {
	outbox   *outbox
	object   *shared // nil once it was encoded; under the lock of the outbox
	size     int
	giveBack func()
}

var (
	_ runtime.CacheableObject   = (*parcel)(nil)
	_ metav1.ObjectMetaAccessor = (*parcel)(nil)
)

var errEncoded = errors.New("an event is encoded once")

func (p *parcel) open() *shared {
	p.outbox.mu.Lock()
	defer p.outbox.mu.Unlock()
	return p.object
}

// CacheEncode implements runtime.CacheableObject.
func (p *parcel) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	s := p.open()
	if s == nil {
		return errEncoded
	}
	defer p.outbox.unpack(p)
	return s.encode(id, encode, w)
}

// GetObject implements runtime.CacheableObject; nil once it was encoded.
func (p *parcel) GetObject() runtime.Object {
	if s := p.open(); s != nil {
		return s.DeepCopyObject()
	}
	return nil
}

// GetObjectMeta implements metav1.ObjectMetaAccessor, to be read.
func (p *parcel) GetObjectMeta() metav1.Object {
	if s := p.open(); s != nil {
		return s.GetObjectMeta()
	}
	return nil
}

// GetObjectKind implements runtime.Object.
func (p *parcel) GetObjectKind() schema.ObjectKind {
	if s := p.open(); s != nil {
		return s.GetObjectKind()
	}
	return schema.EmptyObjectKind
}

// DeepCopyObject implements runtime.Object.
func (p *parcel) DeepCopyObject() runtime.Object { return p.GetObject() }
