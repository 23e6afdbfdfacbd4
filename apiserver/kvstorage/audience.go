package kvstorage

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Room is the memory that events may fill until their clients have taken them. It is shared out by who asks. Both methods
// may be called from any goroutine; what is taken is given back once.
type Room interface {
	// Now takes n bytes if they are free.
	Now(ctx context.Context, n int) (giveBack func(), ok bool)
	// Wait takes n bytes once they are free. The error is the request's end, or what its client is to be told.
	Wait(ctx context.Context, n int) (giveBack func(), err error)
}

type endless struct{}

func (endless) Now(context.Context, int) (func(), bool)   { return func() {}, true }
func (endless) Wait(context.Context, int) (func(), error) { return func() {}, nil }

// weight is what an event takes of the room for a value of n bytes: the object, what one client is sent, and what making
// that takes.
func weight(n int) int { return 3*n + 2<<10 }

// maxKept bounds the objects that are kept for who is told of them a little later, and what they are encoded as.
const maxKept = 4 << 20

// Audience is all who watch, whatever the resource. What an event tells is decoded and encoded once for all who are told it
// while it is kept; nothing is when nobody watches.
type Audience struct {
	room Room

	mu       sync.Mutex
	watchers int
	kept     map[sighting]*shared
	order    []*shared // the oldest first
	bytes    int
}

// NewAudience makes an audience that shares a room; without one there is no bound.
func NewAudience(r Room) *Audience {
	if r == nil {
		r = endless{}
	}
	return &Audience{room: r, kept: map[sighting]*shared{}}
}

// sighting is an object as a watcher sees it: as it is since a revision, or as it was when it went at that revision.
type sighting struct {
	key  string
	rev  store.Revision
	gone bool
}

func (a *Audience) enter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers++
}

// exit lets go of what is kept when the last one leaves.
func (a *Audience) exit() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers--
	for a.watchers == 0 && len(a.order) > 0 {
		a.dropOldest()
	}
}

// see returns the object of a sighting, whose value has so many bytes; who comes first decodes it.
func (a *Audience) see(at sighting, size int, decode func() (runtime.Object, error)) (*shared, error) {
	s := a.find(at, size)
	s.made.Do(func() { s.Object, s.err = decode() })
	return s, s.err
}

func (a *Audience) find(at sighting, size int) *shared {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.kept[at]; ok {
		return s
	}
	s := &shared{audience: a, at: at, forms: map[runtime.Identifier][]byte{}}
	if n := weight(size); n <= maxKept {
		a.kept[at] = s
		a.order = append(a.order, s)
		a.grow(s, n)
	}
	return s
}

// grow counts what an object that is kept takes. It needs the lock.
func (a *Audience) grow(s *shared, n int) {
	if a.kept[s.at] != s {
		return
	}
	s.size += n
	a.bytes += n
	for a.bytes > maxKept {
		a.dropOldest()
	}
}

// dropOldest needs the lock. Who is being told of that object still has it.
func (a *Audience) dropOldest() {
	s := a.order[0]
	a.order[0] = nil
	a.order = a.order[1:]
	a.bytes -= s.size
	delete(a.kept, s.at)
}
