package consensus_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestFlood(t *testing.T) {
	t.Run("10,000 proposals of one member wait for its quota, and those of another do not", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.Quota = consensus.DefaultQuota()
				c.Quota.Proposals, c.Quota.ProposalBurst = 1000, 500
			}
			g.Found(3)
			leader := g.Leader()
			flooding, other := others(g, leader)
			const proposals, at = 10_000, 400
			start := time.Now()
			var flood sync.WaitGroup
			for i := range at {
				flood.Go(func() {
					for n := range proposals / at {
						ctx, cancel := contextFor(t, time.Minute)
						if _, err := flooding.Node().Propose(ctx, put(fmt.Sprintf("/flood/%d", i), fmt.Sprint(n))); err != nil {
							t.Errorf("a proposal was lost: %v", err)
						}
						cancel()
					}
				})
			}
			var slowest time.Duration
			for n := range 50 {
				begun := time.Now()
				g.MustPut(other, "/other", fmt.Sprint(n))
				slowest = max(slowest, time.Since(begun))
				time.Sleep(50 * time.Millisecond)
			}
			flood.Wait()
			took := time.Since(start)
			if took < (proposals-500)/1000*time.Second {
				t.Errorf("the flood took %s, less than its quota allows", took)
			}
			if took > 20*time.Second {
				t.Errorf("the flood took %s: more than its quota makes it", took)
			}
			if slowest > 200*time.Millisecond { // two round trips of 20 ms each, and what batching adds
				t.Errorf("the other member waited %s", slowest)
			}
		})
	})
}

// others are the two members that do not lead.
func others(g *consensustest.Group, leader *consensustest.Member) (a, b *consensustest.Member) {
	for _, m := range g.Members {
		switch {
		case m == leader:
		case a == nil:
			a = m
		default:
			b = m
		}
	}
	return a, b
}
