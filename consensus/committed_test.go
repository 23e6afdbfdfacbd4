package consensus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// A former leader has entries that were never committed, and is far behind. Its store has the snapshot of the new leader before
// its log drops them, and whoever follows it wakes up in between.
func TestSourceThatTakesOverASnapshot(t *testing.T) {
	t.Run("feeds nobody what its log had in place of the snapshot", func(t *testing.T) {
		bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			source, fed := followedLeader(g)
			for _, m := range g.Members[:3] {
				if m != source {
					g.Net.Cut(source.ID, m.ID, true)
				}
			}
			ctx, cancel := contextFor(t, time.Second)
			defer cancel()
			if _, err := g.Put(ctx, source, "/stale", "v"); err == nil {
				t.Fatal("a leader that nobody hears commits")
			}
			for i := range 60 {
				g.MustPut(g.Leader(source), "/k", fmt.Sprint(i))
			}
			time.Sleep(time.Minute) // they make snapshots, and what was on its way to the source is lost
			g.WaitFor("it to be followed again", func() bool { return fed.Node().Status().Source == source.ID })
			source.Disk.Slow(300 * time.Millisecond)
			for _, m := range g.Members[:3] {
				g.Net.Cut(source.ID, m.ID, false)
			}
			g.WaitFor("the follower to have what the snapshot has", func() bool {
				if _, has := fed.Get("/stale"); has {
					t.Fatal("it was fed an entry that was never committed")
				}
				v, _ := fed.Get("/k")
				return v == "59"
			})
			source.Disk.Slow(0)
			converge(g)
		})
	})
}

// followedLeader founds a group of three who vote and one who is fed, by the leader: it reaches nobody else.
func followedLeader(g *consensustest.Group) (leader, fed *consensustest.Member) {
	g.T.Helper()
	g.Tune = func(m *consensustest.Member, c *consensus.Config) {
		smallLogs(m, c)
		c.Choose = func([]consensus.Candidate) consensus.Choice {
			return consensus.Choice{Voters: []consensus.MemberID{"m1", "m2", "m3"}}
		}
	}
	for _, m := range g.Members {
		g.Start(m)
	}
	g.Enrol()
	g.WaitFor("three voters", func() bool { return len(g.Leader().Node().Status().Voters) == 3 })
	leader, fed = g.Leader(), g.Members[3]
	for _, m := range g.Members[:3] {
		if m != leader {
			g.Net.Cut(fed.ID, m.ID, true)
		}
	}
	g.WaitFor("it to follow the leader", func() bool { return fed.Node().Status().Source == leader.ID })
	g.MustPut(leader, "/k", "all have it")
	converge(g)
	return leader, fed
}
