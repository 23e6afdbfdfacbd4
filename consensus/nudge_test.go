package consensus_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
)

func TestNudge(t *testing.T) {
	// lags are how long after a single write each follower has it.
	lags := func(t *testing.T, tune func(*consensus.Config)) (all []time.Duration) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) { tune(c) }
			g.Found(3)
			leader := g.Leader()
			for i := range 20 {
				time.Sleep(2 * time.Second)
				r := g.MustPut(leader, "/k", fmt.Sprint(i))
				all = append(all, lagsBehind(g, leader, r.Revision)...)
			}
		})
		slices.Sort(all)
		return all
	}
	t.Run("every follower has a write long before the commit timeout", func(t *testing.T) {
		with := lags(t, func(*consensus.Config) {})
		t.Logf("with: p50 %s, max %s", with[len(with)/2], with[len(with)-1])
		if worst := with[len(with)-1]; worst > 60*time.Millisecond {
			t.Errorf("a follower was %s late", worst)
		}
	})
	t.Run("a follower that writes again and again never waits for the commit timeout", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			for i, m := range g.Members {
				m.Disk.Slow(time.Duration(3+2*i) * time.Millisecond)
			}
			follower := other(g, g.Leader())
			for i := range 300 {
				start := time.Now()
				g.MustPut(follower, "/k", fmt.Sprint(i))
				if took := time.Since(start); took > 100*time.Millisecond {
					t.Errorf("write %d took %s", i, took)
				}
				time.Sleep(time.Duration(i%7) * 5 * time.Millisecond)
			}
		})
	})
	t.Run("without it they wait for the commit timeout, so it is still needed", func(t *testing.T) {
		without := lags(t, with(fault.Set{NoNudge: true}))
		t.Logf("without: p50 %s, max %s", without[len(without)/2], without[len(without)-1])
		if median := without[len(without)/2]; median < 200*time.Millisecond {
			t.Errorf("half the followers were only %s late", median)
		}
	})
}

// lagsBehind waits until all but the leader have the revision.
func lagsBehind(g *consensustest.Group, leader *consensustest.Member, r store.Revision) []time.Duration {
	start := time.Now()
	var lags []time.Duration
	pending := slices.DeleteFunc(slices.Clone(g.Members), func(m *consensustest.Member) bool { return m == leader })
	g.WaitFor("the followers", func() bool {
		pending = slices.DeleteFunc(pending, func(m *consensustest.Member) bool {
			has := m.Store().View().Revision() >= r
			if has {
				lags = append(lags, time.Since(start))
			}
			return has
		})
		return len(pending) == 0
	})
	return lags
}
