package consensus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestLogSize(t *testing.T) {
	t.Run("a log of few large entries is cut as one of many small ones is", func(t *testing.T) {
		bubble(t, 3, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			const value = 32 << 10
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.SnapshotThreshold, c.TrailingLogs = 10_000, 10_000
				c.LogSize = consensus.LogSize{Growth: 4 << 20, Kept: 2560 << 10} // 80 entries
			}
			g.Found(3)
			for i := range 400 {
				g.MustPut(g.Members[0], fmt.Sprintf("/k/%d", i%10), noise(value))
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(3 * time.Second)
			for _, m := range g.Members {
				have := 0
				for i := uint64(1); i <= m.Node().Status().Last; i++ {
					if m.Disk.GetLog(i, new(raft.Log)) == nil {
						have++
					}
				}
				// What was kept at the last snapshot, what may come until the next, and what came in the second before it.
				if most := 80 + 4<<20/value + 60; have > most {
					t.Errorf("%s has %d entries, more than %d", m.ID, have, most)
				}
			}
		})
	})
	t.Run("a member that is started again and again does not read a longer log each time", func(t *testing.T) {
		bubble(t, 3, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.SnapshotThreshold, c.TrailingLogs = 16, 4
				c.Timing = consensus.DefaultTiming()
				c.Timing.Snapshot = time.Hour
			}
			g.Found(3)
			leader := g.Leader()
			m := other(g, leader)
			for life := range 10 {
				for i := range 16 {
					g.MustPut(leader, "/k", fmt.Sprint(life, i))
				}
				g.Kill(m)
				g.Start(m)
				time.Sleep(5 * time.Second)
			}
			first, _ := m.Disk.Stores().Log.FirstIndex()
			if last := m.Node().Status().Last; last-first > 2*16 {
				t.Errorf("its log has the entries %d to %d", first, last)
			}
		})
	})
	t.Run("a log of small entries keeps as many as it may", func(t *testing.T) {
		if got := consensus.Trailing(16<<20, 64<<20, 1<<20, 2048); got != 2048 {
			t.Errorf("%d entries of 64 bytes stay", got)
		}
		if got := consensus.Trailing(16<<20, 64<<20, 64, 2048); got != 64 {
			t.Errorf("%d entries of a megabyte stay", got)
		}
	})
}
