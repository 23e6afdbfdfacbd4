package consensus_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// large is how many values of 64 KiB make a snapshot that takes its time.
const large = 40

// behind is a group whose follower was away while the log grew, and was cut off, beyond what it has; and one member
// fewer than it knew of.
func behind(t *testing.T, g *consensustest.Group) (leader, slow, gone *consensustest.Member) {
	t.Helper()
	g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
		c.SnapshotThreshold, c.TrailingLogs = 16, 4
		c.Timing = consensus.DefaultTiming()
		c.Timing.Snapshot = 200 * time.Millisecond
	}
	g.Found(3)
	leader = g.Leader()
	for _, m := range g.Members {
		switch {
		case m == leader:
		case slices.Contains(leader.Node().Status().Voters, m.ID):
			slow = m
		default:
			gone = m
		}
	}
	g.Kill(slow)
	ctx, cancel := contextFor(t, time.Minute)
	defer cancel()
	if err := g.Remove(ctx, leader, gone); err != nil {
		t.Fatal(err)
	}
	g.WaitFor("the member to leave raft", func() bool { return !knows(leader, gone.ID) })
	g.Kill(gone)
	for i := range large {
		g.MustPut(leader, fmt.Sprintf("/large/%d", i), noise(64<<10))
	}
	var last uint64
	g.WaitFor("a snapshot", func() bool {
		last, _ = leader.Disk.Stores().Log.FirstIndex()
		have, _ := slow.Disk.Stores().Log.LastIndex()
		return last > have+1
	})
	g.Net.SetBandwidth(512 << 10)
	return leader, slow, gone
}

// knows says whether a member has another one in its configuration of raft.
func knows(m *consensustest.Member, id consensus.MemberID) bool {
	s := m.Node().Status()
	return slices.Contains(append(s.Voters, s.Nonvoters...), id)
}

// values counts the large ones that a member has.
func values(m *consensustest.Member) (n int) {
	for i := range large {
		if _, ok := m.Get(fmt.Sprintf("/large/%d", i)); ok {
			n++
		}
	}
	return n
}

// has says whether a member has all of the large values up to one, as it has when it stands anywhere in the log.
func has(m *consensustest.Member, last int) bool {
	for i := range last + 1 {
		if _, ok := m.Get(fmt.Sprintf("/large/%d", i)); !ok {
			return false
		}
	}
	return true
}

func TestSlowMember(t *testing.T) {
	t.Run("a snapshot is installed on a member behind a slow line, and nobody waits for it", func(t *testing.T) {
		bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			leader, slow, gone := behind(t, g)
			g.Start(slow)
			g.MustPut(leader, "/meanwhile", "v")
			if n := values(slow); n != 0 {
				t.Errorf("the line is not slow: %d values have arrived", n)
			}
			g.WaitFor("all values", func() bool { return values(slow) == large })
			if leader.Node().Status().State != "leader" {
				t.Error("the leader lost its office")
			}
			wantMeta(t, leader, slow, gone)
		})
	})

	t.Run("a member alone with a snapshot knows the latest membership by it", func(t *testing.T) {
		bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			_, slow, gone := behind(t, g)
			g.Start(slow)
			g.WaitFor("all values", func() bool { return values(slow) == large })
			for _, m := range g.Members {
				g.Kill(m)
			}
			g.Start(slow)
			if s := slow.Node().Status(); knows(slow, gone.ID) || len(s.Voters)+len(s.Nonvoters) != 3 {
				t.Errorf("it knows %v and %v", s.Voters, s.Nonvoters)
			}
		})
	})
}

// wantMeta wants, in the newest snapshot of both, the configuration as it is, without the one who left.
func wantMeta(t *testing.T, leader, slow, gone *consensustest.Member) {
	t.Helper()
	for _, m := range []*consensustest.Member{leader, slow} {
		metas, err := m.Disk.Stores().Snapshots.List()
		if err != nil || len(metas) == 0 {
			t.Fatalf("%s has no snapshot: %v", m.ID, err)
		}
		var ids []string
		for _, s := range metas[0].Configuration.Servers {
			ids = append(ids, string(s.ID))
		}
		if len(ids) != 3 || slices.Contains(ids, string(gone.ID)) {
			t.Errorf("the snapshot of %s has the members %v, and %s left before it", m.ID, ids, gone.ID)
		}
	}
}

func TestInterruptedSnapshot(t *testing.T) {
	// Each goes as far as the round says, and ends with the member's node closed.
	interruptions := map[string]func(g *consensustest.Group, slow *consensustest.Member, round int){
		"the line breaks": func(g *consensustest.Group, slow *consensustest.Member, round int) {
			time.Sleep(time.Duration(round)*2*time.Second + time.Second)
			g.Kill(slow)
		},
		"the power fails": func(g *consensustest.Group, slow *consensustest.Member, round int) {
			time.Sleep(time.Duration(round)*2*time.Second + time.Second)
			slow.Disk.Crash()
			g.Kill(slow)
		},
		"the disk is full": func(g *consensustest.Group, slow *consensustest.Member, round int) {
			slow.Disk.FailAt(1+20*round, syscall.ENOSPC)
			g.WaitFor("the member to end", func() bool { return len(slow.Fatal) > 0 })
			g.Kill(slow)
			wantFatal(t, slow, syscall.ENOSPC.Error())
			slow.Disk.Fail(nil)
			slow.Disk.FailAt(0, nil)
		},
	}
	for name, interrupt := range interruptions {
		t.Run(name+" at any point, and nothing is half installed", func(t *testing.T) {
			bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				_, slow, _ := behind(t, g)
				for round := range 4 {
					g.Start(slow)
					interrupt(g, slow, round)
					g.Start(slow)
					if n := values(slow); n > 0 && !has(slow, n-1) {
						t.Errorf("round %d: %d values, and not the first ones", round, n)
					}
					g.Kill(slow)
				}
				g.Start(slow)
				g.WaitFor("all values", func() bool { return values(slow) == large })
			})
		})
	}
}
