package consensus

import "sync"

// broadcast wakes everyone who waits.
type broadcast struct {
	mu      sync.Mutex
	changed chan struct{} // nil while nobody waits
}

// wait returns a channel that is closed at the next send. Take it before looking at what may change.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}
