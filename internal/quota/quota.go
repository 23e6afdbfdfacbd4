// Package quota bounds how many of something each of many may have at once.
package quota

import "sync"

// Quota is how many each has. Its methods may be called from any goroutine.
type Quota struct {
	most int
	mu   sync.Mutex
	by   map[string]int
}

// New bounds each to so many.
func New(most int) *Quota { return &Quota{most: most, by: map[string]int{}} }

// Take counts one more, until leave, which may be called more than once. It says false when there are as many as may be.
func (q *Quota) Take(who string) (leave func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.by[who] >= q.most {
		return nil, false
	}
	q.by[who]++
	return sync.OnceFunc(func() { q.leave(who) }), true
}

func (q *Quota) leave(who string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.by[who]--; q.by[who] == 0 {
		delete(q.by, who)
	}
}
