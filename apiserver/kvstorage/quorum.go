package kvstorage

import (
	"sync"
	"time"
)

// Quorum remembers since when reads and writes find no quorum, so that answers can say so and the next read need
// not wait as long to find the same.
type Quorum struct {
	mu    sync.Mutex
	since time.Time // zero while there is one
}

// found notes that the quorum answered.
func (q *Quorum) found() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.since = time.Time{}
}

// missed notes that it did not, and returns for how long it has not.
func (q *Quorum) missed() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.since.IsZero() {
		q.since = time.Now()
	}
	return time.Since(q.since)
}

// away says that whoever asked last found no quorum.
func (q *Quorum) away() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.since.IsZero()
}

// patience is how long a read should wait: a part of the bound while the quorum is known to be away.
func (q *Quorum) patience(bound time.Duration) time.Duration {
	if q.away() {
		return bound / 4
	}
	return bound
}
