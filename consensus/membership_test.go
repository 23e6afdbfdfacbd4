package consensus_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestMembership(t *testing.T) {
	t.Run("two members have one voter", func(t *testing.T) {
		bubble(t, 2, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(1)
			time.Sleep(time.Minute)
			if s := g.Members[0].Node().Status(); len(s.Voters) != 1 {
				t.Errorf("voters %v", s.Voters)
			}
		})
	})

	t.Run("a member that is not in contact is not promoted", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(m *consensustest.Member, c *consensus.Config) {
				if m.ID == "m3" {
					g.Net.Isolate("m3", true)
				}
			}
			for _, m := range g.Members {
				g.Start(m)
			}
			g.Enrol()
			time.Sleep(time.Minute)
			s := g.Members[0].Node().Status()
			if len(s.Voters) != 1 || len(s.Nonvoters) != 2 {
				t.Errorf("voters %v, others %v", s.Voters, s.Nonvoters)
			}
			g.Net.Isolate("m3", false)
			g.WaitFor("three voters", func() bool { return len(g.Members[0].Node().Status().Voters) == 3 })
		})
	})

	t.Run("who is farther than the founder's timeout votes all the same", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.Timing = consensus.DefaultTiming().WithTimeout(250 * time.Millisecond)
			}
			g.Net.SetLatency(func(from, to consensus.MemberID) time.Duration {
				if from == "m3" || to == "m3" {
					return 140 * time.Millisecond
				}
				return 10 * time.Millisecond
			})
			for _, m := range g.Members {
				g.Start(m)
			}
			g.Enrol()
			founder := g.Members[0]
			for range 600 { // under way is always something: that is contact, and no answer to what is sent now
				g.MustPut(founder, "/k", "v")
				time.Sleep(50 * time.Millisecond)
			}
			if s := founder.Node().Status(); len(s.Voters) != 3 {
				t.Errorf("voters %v", s.Voters)
			}
		})
	})

	t.Run("a member that may not vote never does", func(t *testing.T) {
		bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Members[1].Eligible = false
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.Choose = func(all []consensus.Candidate) (c consensus.Choice) { // a chooser that does not care
					for _, m := range all {
						c.Voters = append(c.Voters, m.ID)
					}
					return c
				}
			}
			g.Found(3)
			if s := g.Members[0].Node().Status(); slices.Contains(s.Voters, "m2") {
				t.Errorf("voters %v", s.Voters)
			}
		})
	})

	t.Run("a removed voter is demoted, removed, and replaced", func(t *testing.T) {
		bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			gone := g.Members[slices.IndexFunc(g.Members, func(m *consensustest.Member) bool {
				return m != leader && slices.Contains(leader.Node().Status().Voters, m.ID)
			})]
			if err := g.Remove(t.Context(), leader, gone); err != nil {
				t.Fatal(err)
			}
			g.WaitFor("the configuration to follow", func() bool {
				s := leader.Node().Status()
				return len(s.Voters) == 3 && len(s.Nonvoters) == 0 && !slices.Contains(s.Voters, gone.ID)
			})
			g.WaitFor("the removed member to know", func() bool { return gone.Node().Status().Removed })
			term := leader.Node().Status().Term
			time.Sleep(time.Minute)
			if s := leader.Node().Status(); s.Term != term {
				t.Error("the removed member causes elections")
			}
		})
	})

	t.Run("a leader that is removed hands over, and leaves", func(t *testing.T) {
		bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			old := g.Leader()
			if err := g.Remove(t.Context(), old, old); err != nil {
				t.Fatal(err)
			}
			next := g.Leader(old)
			g.WaitFor("the configuration to follow", func() bool {
				s := next.Node().Status()
				return len(s.Voters) == 3 && !slices.Contains(s.Voters, old.ID) && len(s.Nonvoters) == 0
			})
			g.MustPut(next, "/k", "v")
			if s := old.Node().Status(); !s.Removed || s.State == "leader" {
				t.Errorf("the removed leader: %+v", s)
			}
		})
	})

	t.Run("the next leader goes on where the last one stopped", func(t *testing.T) {
		bubble(t, 5, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = fiveVoters
			for _, m := range g.Members {
				g.Start(m)
			}
			g.Enrol()
			g.WaitFor("a second and a third voter", func() bool { return len(g.Members[0].Node().Status().Voters) >= 3 })
			g.WaitFor("the first to hand over", func() bool { return g.Members[0].Node().Transfer(t.Context()) == nil })
			g.WaitFor("five voters", func() bool { return len(g.Leader().Node().Status().Voters) == 5 })
		})
	})

	for name, c := range map[string]struct{ cut, next, want []consensus.MemberID }{
		"one that was cut off a moment ago gets no vote":                  {[]consensus.MemberID{"m3", "m4"}, []consensus.MemberID{"m1", "m2", "m3", "m4"}, []consensus.MemberID{"m1", "m2", "m3"}},
		"nobody gives up a vote because one was there a moment ago":       {[]consensus.MemberID{"m2"}, []consensus.MemberID{"m1", "m2"}, []consensus.MemberID{"m1", "m2", "m3"}},
		"of a living one and one that has just died, that one goes first": {[]consensus.MemberID{"m3"}, []consensus.MemberID{"m1"}, []consensus.MemberID{"m1"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				var choice atomic.Pointer[consensus.Choice]
				choice.Store(&consensus.Choice{Voters: []consensus.MemberID{"m1", "m2", "m3"}, Standbys: []consensus.MemberID{"m4"}})
				g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
					c.Choose = func([]consensus.Candidate) consensus.Choice { return *choice.Load() }
					c.Timing = consensus.DefaultTiming()
					c.Timing.Drive = 20 * time.Millisecond
				}
				for _, m := range g.Members {
					g.Start(m)
				}
				g.Enrol()
				leader := g.Members[0]
				g.WaitFor("three voters and one that stands by", func() bool {
					s := leader.Node().Status()
					return len(s.Voters) == 3 && len(s.Nonvoters) == 1
				})
				time.Sleep(time.Minute)
				for _, id := range c.cut {
					g.Net.Isolate(id, true)
				}
				choice.Store(&consensus.Choice{Voters: c.next})
				time.Sleep(5 * time.Second)
				g.MustPut(leader, "/k", "v")
				if s := leader.Node().Status(); !slices.Equal(s.Voters, c.want) {
					t.Errorf("they vote: %v", s.Voters)
				}
			})
		})
	}
	t.Run("the lone voter may be replaced by removing it", func(t *testing.T) {
		bubble(t, 2, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(1)
			old, next := g.Members[0], g.Members[1]
			time.Sleep(15 * time.Second)
			if err := g.Remove(t.Context(), old, old); err != nil {
				t.Fatal(err)
			}
			g.WaitFor("the other to lead alone", func() bool {
				s := next.Node().Status()
				return s.State == "leader" && slices.Equal(s.Voters, []consensus.MemberID{next.ID}) && len(s.Nonvoters) == 0
			})
			g.MustPut(next, "/k", "v")
		})
	})
}

func TestRestart(t *testing.T) {
	t.Run("all members at once, and everything acknowledged is there", func(t *testing.T) {
		for _, threshold := range []uint64{4, 10000} { // with snapshots, and without
			bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
					c.SnapshotThreshold, c.TrailingLogs = threshold, 2
					c.Timing = consensus.DefaultTiming()
					c.Timing.Snapshot = 100 * time.Millisecond
				}
				g.Found(3)
				var want []string
				for i := range 30 {
					key := "/k/" + string(rune('a'+i))
					g.MustPut(g.Members[i%3], key, key)
					want = append(want, key)
				}
				for _, m := range g.Members {
					g.Kill(m)
				}
				for _, m := range g.Members {
					g.Start(m)
				}
				g.MustPut(g.Members[1], "/after", "v")
				converge(g)
				for _, m := range g.Members {
					for _, key := range want {
						if v, _ := m.Get(key); v != key {
							t.Errorf("%s lost %s", m.ID, key)
						}
					}
				}
			})
		}
	})
	t.Run("a member that was away long is brought up by a snapshot", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = fiveVoters
			g.Found(3)
			leader := g.Leader()
			away := other(g, leader)
			g.Kill(away)
			for range 200 {
				g.MustPut(leader, "/k", "v")
			}
			last := g.MustPut(leader, "/k", "last")
			time.Sleep(10 * time.Second)
			g.Start(away)
			ctx, cancel := contextFor(t, 30*time.Second)
			defer cancel()
			if err := away.Store().WaitFor(ctx, last.Revision); err != nil {
				t.Fatal(err)
			}
			if v, _ := away.Get("/k"); v != "last" {
				t.Errorf("got %q", v)
			}
		})
	})
	t.Run("a member that is megabytes behind on a thin line catches up piece by piece", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			away := other(g, leader)
			g.Kill(away)
			big := noise(24 << 20)
			for i, key := range []string{"/big/1", "/big/2", "/big/3"} {
				g.MustPut(leader, key, big[i*8<<20:(i+1)*8<<20])
			}
			last := g.MustPut(leader, "/k", "last")
			term := leader.Node().Status().Term
			g.Net.SetBandwidth(1 << 20) // all of it takes longer than an RPC may
			g.Start(away)
			ctx, cancel := contextFor(t, time.Minute)
			defer cancel()
			if err := away.Store().WaitFor(ctx, last.Revision); err != nil {
				t.Error(err)
			}
			if now := leader.Node().Status().Term; now != term {
				t.Errorf("the term went from %d to %d", term, now)
			}
		})
	})
}
