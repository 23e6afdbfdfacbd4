package drill

import (
	"context"
	"sync/atomic"
	"time"
)

// Pulse measures how late this machine wakes whoever asked to be woken. Where many control planes share few processors
// that is what the fleet's own clocks suffer, and no fault of theirs.
type Pulse struct{ latest atomic.Int64 }

const beat = 10 * time.Millisecond

// Run ends with ctx.
func (p *Pulse) Run(ctx context.Context) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		p.latest.Store(max(p.latest.Load(), int64(now.Sub(last)-beat)))
		last = now
	}
}

// Latest is how late it was at the worst.
func (p *Pulse) Latest() time.Duration { return time.Duration(p.latest.Load()) }
