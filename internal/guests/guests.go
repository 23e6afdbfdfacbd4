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
	by   map[K]io.Closer
}

// New makes a list with room for so many.
func New[K comparable](most int) *List[K] { return &List[K]{most: most, by: map[K]io.Closer{}} }

// Admit gives a stream its peer's place, and closes the one that had it: whoever comes again has left that one, or should
// not have two. It says false when there is no place. Streams are told apart by ==.
func (l *List[K]) Admit(peer K, stream io.Closer) bool {
	l.mu.Lock()
	older, again := l.by[peer]
	full := !again && len(l.by) >= l.most
	if !full {
		l.by[peer] = stream
	}
	l.mu.Unlock()
	if again {
		older.Close()
	}
	return !full
}

// Leave gives a place back, unless a newer stream has it.
func (l *List[K]) Leave(peer K, stream io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by[peer] == stream {
		delete(l.by, peer)
	}
}

// Count is how many have a stream.
func (l *List[K]) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.by)
}
