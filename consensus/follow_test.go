package consensus_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// followers are the members that are not in raft, as the leader has it.
func followers(g *consensustest.Group) (all []*consensustest.Member) {
	s := g.Leader().Node().Status()
	servers := append(s.Voters, s.Nonvoters...)
	for _, m := range g.Members {
		if !slices.Contains(servers, m.ID) {
			all = append(all, m)
		}
	}
	return all
}

// smallLogs makes members keep few entries, so that whoever was away needs a snapshot.
func smallLogs(_ *consensustest.Member, c *consensus.Config) {
	c.SnapshotThreshold, c.TrailingLogs = 8, 4
	c.Timing = consensus.DefaultTiming()
	c.Timing.Snapshot = 200 * time.Millisecond
}

func TestFollow(t *testing.T) {
	t.Run("three vote, two stand by, and all others follow and can write and read", func(t *testing.T) {
		bubble(t, 9, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			all := followers(g)
			if len(all) != 4 {
				t.Fatalf("%d follow", len(all))
			}
			for _, m := range all {
				g.MustPut(m, "/k/"+string(m.ID), "v")
				if _, err := m.Node().Read(t.Context()); err != nil {
					t.Errorf("%s: %v", m.ID, err)
				}
				if s := m.Node().Status(); s.Source == "" || s.State != "follower" {
					t.Errorf("%+v", s)
				}
			}
		})
	})
	t.Run("one that was away goes on where it was, by the log or by a snapshot", func(t *testing.T) {
		for name, tune := range map[string]func(*consensustest.Member, *consensus.Config){"log": func(*consensustest.Member, *consensus.Config) {}, "snapshot": smallLogs} {
			bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				g.Tune = tune
				g.Found(3)
				m := followers(g)[0]
				for round := range 3 {
					g.Kill(m)
					for i := range 60 {
						g.MustPut(g.Leader(), fmt.Sprint("/k/", i), fmt.Sprint(round))
					}
					time.Sleep(time.Second)
					g.Start(m)
					g.WaitFor("it to catch up", func() bool {
						v, _ := m.Get("/k/59")
						return v == fmt.Sprint(round)
					})
					if source := m.Node().Status().Source; source == "" {
						t.Errorf("by %s: it follows nobody", name)
					}
				}
				converge(g)
			})
		}
	})
	t.Run("it follows another when its source dies", func(t *testing.T) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			m := followers(g)[0]
			for range 3 {
				g.WaitFor("a source", func() bool { return m.Node().Status().Source != "" })
				source := g.Members[slices.Index(ids(g), m.Node().Status().Source)]
				g.Net.Isolate(source.ID, true)
				leader := g.Leader(source)
				r := g.MustPut(leader, "/k", string(source.ID))
				g.WaitFor("the write to arrive", func() bool { return m.Store().View().Revision() >= r.Revision })
				g.Net.Isolate(source.ID, false)
				time.Sleep(20 * time.Second)
			}
		})
	})
	t.Run("a removed member gets nothing more", func(t *testing.T) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			m := followers(g)[0]
			if err := g.Remove(t.Context(), g.Leader(), m); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			had := m.Store().View().Revision()
			g.MustPut(g.Leader(), "/secret", "v")
			time.Sleep(time.Minute)
			if now := m.Store().View().Revision(); now != had {
				t.Errorf("it went from %d to %d", had, now)
			}
		})
	})
	t.Run("a follower becomes a voter, and a voter a follower, again and again", func(t *testing.T) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			var choice atomic.Pointer[[]consensus.MemberID]
			choice.Store(&[]consensus.MemberID{"m1", "m2", "m3"})
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.Choose = func(all []consensus.Candidate) consensus.Choice { return inTime(all, *choice.Load()) }
			}
			for _, m := range g.Members {
				g.Start(m)
			}
			g.Enrol()
			for round, next := range [][]consensus.MemberID{{"m1", "m2", "m3"}, {"m4", "m5", "m1"}, {"m2", "m6", "m3"}, {"m4", "m5", "m6"}} {
				choice.Store(&next)
				g.WaitFor(fmt.Sprint("the servers to be ", next), func() bool {
					s := g.Leader().Node().Status()
					return sameIDs(s.Voters, next) && len(s.Nonvoters) == 0
				})
				for _, m := range g.Members {
					g.MustPut(m, "/k/"+string(m.ID), fmt.Sprint(round))
				}
				converge(g)
			}
		})
	})
	t.Run("a voter that was demoted while it was away learns so from its source", func(t *testing.T) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			var choice atomic.Pointer[[]consensus.MemberID]
			choice.Store(&[]consensus.MemberID{"m1", "m2", "m3"})
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.Choose = func([]consensus.Candidate) consensus.Choice { return consensus.Choice{Voters: *choice.Load()} }
			}
			for _, m := range g.Members {
				g.Start(m)
			}
			g.Enrol()
			g.WaitFor("three voters", func() bool { return len(g.Members[0].Node().Status().Voters) == 3 })
			away := g.Members[2]
			g.Net.Isolate(away.ID, true)
			want := []consensus.MemberID{"m1", "m2", "m4"}
			choice.Store(&want)
			g.WaitFor("it to be replaced", func() bool {
				s := g.Leader(away).Node().Status()
				return sameIDs(s.Voters, want) && len(s.Nonvoters) == 0
			})
			term := g.Leader(away).Node().Status().Term
			time.Sleep(time.Minute)
			g.Net.Isolate(away.ID, false)
			g.WaitFor("it to follow", func() bool { return away.Node().Status().Source != "" })
			g.MustPut(away, "/k", "v")
			converge(g)
			if now := g.Leader().Node().Status().Term; now != term {
				t.Errorf("it caused an election: term %d became %d", term, now)
			}
		})
	})
	t.Run("a voter that was demoted and removed from raft while it was stopped finds a leader and follows", func(t *testing.T) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			choose := choosing(g, "m1", "m2", "m3")
			away := g.Members[2]
			g.Kill(away)
			choose("m1", "m2", "m4")
			g.Start(away)
			g.WaitFor("it to follow", func() bool { s := away.Node().Status(); return s.Source != "" && s.Leader != "" })
			g.MustPut(away, "/k", "v")
			converge(g)
		})
	})
	t.Run("a voter that may not hear its leader yet, by what it knows, is fed until it may", func(t *testing.T) {
		bubble(t, 4, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Members[3].Eligible = false
			choose := choosing(g, "m1", "m2", "m3")
			away, next := g.Members[2], g.Members[3]
			g.Kill(away)
			time.Sleep(5 * time.Second) // until it does not count as alive
			allow(g, next)
			choose("m1", "m3", "m4")
			for g.Leader() != next {
				ctx, cancel := contextFor(t, time.Minute)
				g.Leader().Node().TransferTo(ctx, next.ID)
				cancel()
				time.Sleep(time.Second)
			}
			g.Start(away)
			g.WaitFor("it to hear the leader", func() bool {
				s := away.Node().Status()
				return s.Leader == next.ID && s.Source == "" && knows(away, next.ID)
			})
			g.Kill(g.Members[0])
			g.MustPut(next, "/k", "its vote counts")
		})
	})
	t.Run("a member finds the fleet when all whom it used to follow are gone", func(t *testing.T) {
		bubble(t, 7, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = smallLogs
			choose := choosing(g, "m1", "m2", "m3")
			away, gone := g.Members[6], g.Members[:3]
			for i := range 20 {
				g.MustPut(away, "/k", fmt.Sprint(i))
			}
			time.Sleep(time.Second)
			tune := g.Tune
			g.Tune = func(m *consensustest.Member, c *consensus.Config) {
				tune(m, c)
				c.Seeds = nil // it has its members from a snapshot
			}
			g.Kill(away)
			choose("m4", "m5", "m6")
			for _, m := range gone {
				ctx, cancel := contextFor(t, time.Minute)
				if err := g.Remove(ctx, g.Leader(gone...), m); err != nil {
					t.Fatal(err)
				}
				cancel()
				g.Kill(m)
			}
			g.Start(away)
			g.WaitFor("it to find one of the others", func() bool { return away.Node().Status().Leader != "" })
			g.MustPut(away, "/k", "v")
		})
	})
}

// choosing founds a group whose servers of raft are those named, and returns how to name others: it waits until they are.
func choosing(g *consensustest.Group, first ...consensus.MemberID) (choose func(...consensus.MemberID)) {
	g.T.Helper()
	var choice atomic.Pointer[[]consensus.MemberID]
	choice.Store(&first)
	tune := g.Tune
	g.Tune = func(m *consensustest.Member, c *consensus.Config) {
		if tune != nil {
			tune(m, c)
		}
		c.Choose = func([]consensus.Candidate) consensus.Choice { return consensus.Choice{Voters: *choice.Load()} }
	}
	for _, m := range g.Members {
		g.Start(m)
	}
	g.Enrol()
	choose = func(next ...consensus.MemberID) {
		g.T.Helper()
		choice.Store(&next)
		g.WaitFor(fmt.Sprint("the servers to be ", next), func() bool {
			for _, m := range g.Members {
				s := m.Node().Status()
				if m.Running() && !(sameIDs(s.Voters, next) && len(s.Nonvoters) == 0) {
					return false
				}
			}
			return true
		})
	}
	choose(first...)
	return choose
}

// allow makes a member one that may vote.
func allow(g *consensustest.Group, m *consensustest.Member) {
	g.T.Helper()
	record, ok := g.Leader().Store().View().Member(m.ID)
	if !ok {
		g.T.Fatalf("%s is no member", m.ID)
	}
	record.Eligible = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := g.Leader().Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: []store.Op{store.PutMember(record)}}}); err != nil {
		g.T.Fatal(err)
	}
}

// inTime makes voters of those wanted as soon as all of them are stable; until then they stand by.
func inTime(all []consensus.Candidate, want []consensus.MemberID) (c consensus.Choice) {
	ready := 0
	for _, m := range all {
		if m.Voter {
			c.Voters = append(c.Voters, m.ID)
		}
		if m.Stable && slices.Contains(want, m.ID) {
			ready++
		}
	}
	if ready == len(want) {
		return consensus.Choice{Voters: want}
	}
	c.Standbys = want
	return c
}

func ids(g *consensustest.Group) (all []consensus.MemberID) {
	for _, m := range g.Members {
		all = append(all, m.ID)
	}
	return all
}

func sameIDs(a, b []consensus.MemberID) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
