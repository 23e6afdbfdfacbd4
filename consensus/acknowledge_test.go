package consensus_test

import (
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/internal/fault"
)

func TestAcknowledgement(t *testing.T) {
	const slow = 300 * time.Millisecond
	// written is when a write was acknowledged, and applied by the one follower that is there, while the leader's disk
	// takes its time and the other follower is away.
	written := func(t *testing.T, tune func(*consensus.Config)) (acknowledged, applied time.Duration) {
		bubble(t, 3, 5*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) { tune(c) }
			g.Found(3)
			leader := g.Leader()
			here := other(g, leader)
			for _, m := range g.Members {
				if m != leader && m != here {
					g.Net.Isolate(m.ID, true)
				}
			}
			leader.Disk.Slow(slow)
			begun := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				g.MustPut(leader, "/k", "v")
				acknowledged = time.Since(begun)
			}()
			g.WaitFor("the follower to have it", func() bool { _, has := here.Get("/k"); return has })
			applied = time.Since(begun)
			<-done
		})
		return acknowledged, applied
	}
	t.Run("waits for the leader's own disk, when it is needed for a majority", func(t *testing.T) {
		acknowledged, applied := written(t, func(*consensus.Config) {})
		if acknowledged < slow || applied < slow {
			t.Errorf("acknowledged after %s, applied by a follower after %s", acknowledged, applied)
		}
		if acknowledged > 2*slow {
			t.Errorf("acknowledged only after %s: the follower's turn came after the leader's", acknowledged)
		}
	})
	t.Run("a member that follows the leader waits for that disk too", func(t *testing.T) {
		bubble(t, 6, 5*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader, follower := g.Leader(), followers(g)[0]
			for _, m := range g.Members {
				if m != leader && m != follower {
					g.Net.Cut(m.ID, follower.ID, true)
				}
			}
			g.WaitFor("it to follow the leader", func() bool { return follower.Node().Status().Source == leader.ID })
			leader.Disk.Slow(slow)
			begun := time.Now()
			var writes sync.WaitGroup
			for _, key := range []string{"/written while the follower waits", "/committed when the first is written"} {
				writes.Go(func() { g.MustPut(leader, key, "v") })
				time.Sleep(slow / 4)
			}
			g.WaitFor("the follower to have both", func() bool { _, has := follower.Get("/committed when the first is written"); return has })
			if took := time.Since(begun); took < 2*slow {
				t.Errorf("applied by the follower after %s", took)
			}
			writes.Wait()
		})
	})
	t.Run("without the wait it comes too early, so it is needed", func(t *testing.T) {
		acknowledged, applied := written(t, with(fault.Set{AckBeforeSync: true}))
		if acknowledged >= slow || applied >= slow {
			t.Errorf("acknowledged after %s, applied by a follower after %s", acknowledged, applied)
		}
	})
}
