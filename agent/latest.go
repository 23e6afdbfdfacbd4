package agent

import "sync"

// latest hands the newest value of something to whoever waits for it. The zero value has none yet.
type latest[T any] struct {
	mu      sync.Mutex
	known   bool
	value   T
	changed chan struct{} // nil: nobody waits
}

// Current is the newest value; false: there is none, or it was taken back.
func (l *latest[T]) Current() (T, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value, l.known
}

// Changed is closed with the next change.
func (l *latest[T]) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// set replaces the value; known false takes it back.
func (l *latest[T]) set(value T, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value, l.known = value, known
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}
