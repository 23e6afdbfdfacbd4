package consensus

import (
	"context"
	"math/rand/v2"
	"time"
)

// retry paces attempts: twice as long after each, half of it left to chance, cut short when a leader appears.
type retry struct {
	n    *Node
	next time.Duration
}

func (n *Node) newRetry() *retry { return &retry{n: n, next: n.cfg.Timing.RetryMin} }

// wait pauses before the next attempt; false when ctx has ended.
func (r *retry) wait(ctx context.Context) bool {
	_, changed := r.n.offices.get()
	t := time.NewTimer(r.next/2 + rand.N(r.next/2+1))
	defer t.Stop()
	r.next = min(2*r.next, r.n.cfg.Timing.RetryMax)
	select {
	case <-t.C:
	case <-changed:
		r.next = r.n.cfg.Timing.RetryMin
		if r.n.appending() == nil { // else there is nobody to overrun
			r.n.pause(ctx, rand.N(r.next))
		}
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
