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

// weight is what an event takes of the room for a value of n bytes: the object, what one client is sent, and what making
// that takes.
func weight(n int) int { return 3*n + 2<<10 }

// maxKept bounds the objects that are kept when nobody is being sent them.
const maxKept = 4 << 20

// Audience is all who watch, whatever the resource. What an event tells is made once for all who are told it at about the
// same time, and kept for a while for those who come later; not when nobody watches.
type Audience struct {
	room Room

	mu       sync.Mutex
	watchers int
	seen     map[sighting]*shared // those that are kept or in use
	kept     []*shared            // oldest first
	bytes    int                  // of those that are kept, and of what they are encoded as
}

// NewAudience makes an audience that shares a room; without one there is no bound.
func NewAudience(r Room) *Audience {
	if r == nil {
		r = endless{}
	}
	return &Audience{room: r, seen: map[sighting]*shared{}}
}

type endless struct{}

func (endless) Now(context.Context, int) (func(), bool)   { return func() {}, true }
func (endless) Wait(context.Context, int) (func(), error) { return func() {}, nil }

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

// exit lets go of what was kept when the last one leaves.
func (a *Audience) exit() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers--
	for a.watchers == 0 && len(a.kept) > 0 {
		a.dropOldest()
	}
}

// use returns the object of a sighting, which is decoded by the first who uses it. Each use is to be left. One that is
// worth keeping may be found later, too.
func (a *Audience) use(at sighting, size int, keep bool, decode func() (runtime.Object, error)) (*shared, error) {
	s := a.find(at, size, keep)
	s.made.Do(func() { s.Object, s.err = decode() })
	if s.err != nil {
		defer a.leave(s)
		return nil, s.err
	}
	return s, nil
}

func (a *Audience) find(at sighting, size int, keep bool) *shared {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.seen[at]
	if !ok {
		s = &shared{audience: a, at: at, size: weight(size), forms: map[runtime.Identifier]*form{}}
		a.seen[at] = s
		if keep {
			a.keep(s)
		}
	}
	s.users++
	return s
}

// leave ends a use.
func (a *Audience) leave(s *shared) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.users--
	a.forget(s)
}

// forget needs the lock, as do those below.
func (a *Audience) forget(s *shared) {
	if s.users == 0 && !s.kept {
		delete(a.seen, s.at)
	}
}

func (a *Audience) keep(s *shared) {
	if s.size > maxKept {
		return
	}
	s.kept = true
	a.kept = append(a.kept, s)
	a.grow(s.size)
}

func (a *Audience) grow(n int) {
	a.bytes += n
	for a.bytes > maxKept {
		a.dropOldest()
	}
}

// dropOldest no longer keeps an object; those who use it still do.
func (a *Audience) dropOldest() {
	s := a.kept[0]
	a.kept[0] = nil
	a.kept = a.kept[1:]
	a.bytes -= s.size
	s.kept = false
	for id, f := range s.forms {
		a.bytes -= len(f.data)
		s.forget(id, f)
	}
	a.forget(s)
}
