// Package guests keeps one stream of each of many peers, and of no more of them than there is room for.
package guests

import (
	"io"
	"sync"
)

// List is who has a stream here. Its methods may be called from any goroutine.
type List[K comparable] struct {
	most int
	mu   sync.Mutex
	by   map[K]*guest
}

type guest struct{ stream io.Closer }

// New makes a list with room for so many.
func New[K comparable](most int) *List[K] { return &List[K]{most: most, by: map[K]*guest{}} }

// Admit gives a stream its peer's place, until it leaves, and closes the one that had it: whoever comes again has left that
// one, or should not have two. It says false when there is no place.
func (l *List[K]) Admit(peer K, stream io.Closer) (leave func(), ok bool) {
	g := &guest{stream}
	l.mu.Lock()
	older, again := l.by[peer]
	full := !again && len(l.by) >= l.most
	if !full {
		l.by[peer] = g
	}
	l.mu.Unlock()
	if again {
		older.stream.Close()
	}
	return func() { l.leave(peer, g) }, !full
}

// leave gives a place back, unless a newer stream has it.
func (l *List[K]) leave(peer K, g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by[peer] == g {
		delete(l.by, peer)
	}
}

// Count is how many have a stream.
func (l *List[K]) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.by)
}
