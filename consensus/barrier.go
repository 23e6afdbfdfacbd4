package consensus

import (
	"context"
	"sync"
	"time"
)

// barriers shares raft barriers among those who wait: one runs at a time, and whoever comes while it runs waits for
// the next, since the running one may have been placed in the log too early for them.
type barriers struct {
	run  func() error // one barrier; it ends by itself
	kick chan struct{}

	mu   sync.Mutex
	next *round
}

// round is one barrier and those who wait for it.
type round struct {
	done chan struct{}
	err  error
}

func newBarriers(run func() error) *barriers {
	return &barriers{run: run, kick: make(chan struct{}, 1)}
}

// join returns the next round to start, and sees to it that it will.
func (b *barriers) join() *round {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = &round{done: make(chan struct{})}
	}
	select {
	case b.kick <- struct{}{}:
	default:
	}
	return b.next
}

// wait waits for a barrier that starts after this call.
func (b *barriers) wait(ctx context.Context) error {
	r := b.join()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// routine runs the rounds until ctx ends; those who still wait then see their own context end.
func (b *barriers) routine(ctx context.Context) {
	for {
		select {
		case <-b.kick:
		case <-ctx.Done():
			return
		}
		b.mu.Lock()
		r := b.next
		b.next = nil
		b.mu.Unlock()
		if r == nil {
			continue
		}
		r.err = b.run()
		close(r.done)
	}
}

// barrier places a barrier in the log and returns once the store has applied everything before it.
func (n *Node) barrier() error {
	o := n.leading()
	if o == nil || !n.hasQuorum(o) {
		return errNotLeading
	}
	if n.cfg.Faults.VerifyLeader {
		return n.await(n.raft.VerifyLeader())
	}
	if err := n.await(n.raft.Barrier(n.cfg.Timing.Heartbeat)); err != nil {
		return err
	}
	return n.fsm.stopped()
}

// nudge tells the followers of what was just committed, by a barrier that travels to them with the commit index.
func (n *Node) nudge() {
	if !n.cfg.Faults.NoNudge && len(n.servers()) > 1 {
		n.barriers.join()
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
