package consensus

import (
	"context"
	"sync"
	"time"
)

// rounds shares the outcome of something slow among those who wait: whoever comes while a round runs waits for the
// next, since the running one may have begun too early for them.
type rounds[T any] struct {
	run  func() (T, error) // one round; it ends by itself
	kick chan struct{}

	mu   sync.Mutex
	next *round[T]
}

// round is one run and those who wait for it.
type round[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func newRounds[T any](run func() (T, error)) *rounds[T] {
	return &rounds[T]{run: run, kick: make(chan struct{}, 1)}
}

// join returns the next round to start, and sees to it that it will.
func (r *rounds[T]) join() *round[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round[T]{done: make(chan struct{})}
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
	return r.next
}

// wait waits for a round that starts after this call.
func (r *rounds[T]) wait(ctx context.Context) (T, error) {
	next := r.join()
	select {
	case <-next.done:
		return next.value, next.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// routine runs rounds until ctx ends; those who still wait then see their own context end. Each goroutine that runs it
// is one more round that may be under way at once.
func (r *rounds[T]) routine(ctx context.Context) {
	for {
		select {
		case <-r.kick:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		next := r.next
		r.next = nil
		r.mu.Unlock()
		if next == nil {
			continue
		}
		next.value, next.err = r.run()
		close(next.done)
	}
}

// pause waits for d or until ctx ends.
func (n *Node) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
