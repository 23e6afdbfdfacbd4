package consensus_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// sourceOf waits for a follower to have a source, and returns it.
func sourceOf(g *consensustest.Group, m *consensustest.Member) *consensustest.Member {
	g.T.Helper()
	g.WaitFor("a source", func() bool { return m.Node().Status().Source != "" })
	return g.Members[slices.Index(ids(g), m.Node().Status().Source)]
}

func TestForgedStream(t *testing.T) {
	// lie has the source that a follower likes best lie to it, for as long as the follower listens, and says what came of it.
	lie := func(t *testing.T, name string, then func(g *consensustest.Group, m *consensustest.Member)) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			m := followers(g)[0]
			liar := sourceOf(g, m)
			g.Kill(m)
			told := make(chan struct{}, 1024)
			liar.Endpoint.Handle("follow", func(_ consensus.MemberID, c net.Conn) {
				consensus.Lie(c, name)
				told <- struct{}{}
			})
			g.Start(m)
			<-told
			then(g, m)
		})
	}
	for _, name := range consensus.Lies() {
		t.Run("nothing is taken, and another source is found, after "+name, func(t *testing.T) {
			lie(t, name, func(g *consensustest.Group, m *consensustest.Member) {
				leader := g.Leader()
				term := leader.Node().Status().Term
				g.MustPut(leader, "/k", "v")
				g.WaitFor("the follower to have the write", func() bool { v, _ := m.Get("/k"); return v == "v" })
				if _, taken := m.Get("/forged"); taken || len(m.Fatal) > 0 {
					t.Errorf("it was taken: %t, and the node ended: %t", taken, len(m.Fatal) > 0)
				}
				if s := m.Node().Status(); s.Term > term || s.Commit > leader.Node().Status().Last {
					t.Errorf("it counts as committed: %+v", s)
				}
				g.MustPut(m, "/k", "it writes")
				converge(g)
				wantSameLog(t, leader, m)
			})
		})
	}
	t.Run("what a source can say and be believed is taken, so these tests can fail", func(t *testing.T) {
		lie(t, consensus.Plausible, func(g *consensustest.Group, m *consensustest.Member) {
			g.WaitFor("the lie to be taken", func() bool { _, ok := m.Get("/forged"); return ok })
		})
	})
	t.Run("a member that may not vote is asked by nobody, though it is the only one left", func(t *testing.T) {
		bubble(t, 7, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			evil := g.Members[6]
			evil.Eligible = false
			g.Found(3)
			m := followers(g)[0]
			if m == evil {
				t.Fatal("the one who may not vote is the only follower")
			}
			var asked atomic.Int32
			evil.Endpoint.Handle("follow", func(_ consensus.MemberID, c net.Conn) {
				asked.Add(1)
				consensus.Lie(c, consensus.Plausible)
			})
			for _, o := range g.Members {
				if o != evil {
					g.Net.Cut(m.ID, o.ID, true)
				}
			}
			time.Sleep(time.Minute)
			if n := asked.Load(); n != 0 {
				t.Errorf("it was asked %d times", n)
			}
			for _, o := range g.Members {
				g.Net.Cut(m.ID, o.ID, false)
			}
			g.MustPut(m, "/k", "v")
			converge(g)
		})
	})
}

func TestRelayDies(t *testing.T) {
	t.Run("those that it fed go on with another, from where they were", func(t *testing.T) {
		bubble(t, 7, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			voters := []consensus.MemberID{"m1", "m2", "m3"}
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
				c.Choose = func([]consensus.Candidate) consensus.Choice { return consensus.Choice{Voters: voters} }
			}
			for _, m := range g.Members {
				g.Start(m)
			}
			g.Enrol()
			g.WaitFor("three voters", func() bool { return sameIDs(g.Leader().Node().Status().Voters, voters) })
			far := g.Members[3:]
			relays, fed := far[:2], far[2]
			moveTo(g, "far", far...)
			g.WaitFor("a relay to feed it", func() bool {
				source := fed.Node().Status().Source
				return source == relays[0].ID || source == relays[1].ID
			})
			relay := sourceOf(g, fed)
			g.Net.SetBandwidth(256 << 10)
			for i := range 16 {
				g.MustPut(g.Leader(), fmt.Sprint("/k/", i), noise(64<<10))
			}
			if _, all := fed.Get("/k/15"); all {
				t.Fatal("the relay has fed it everything already")
			}
			g.Kill(relay)
			g.WaitFor("the rest, from another", func() bool { _, all := fed.Get("/k/15"); return all })
			if now := sourceOf(g, fed); now == relay {
				t.Errorf("it follows %s, which is dead", now.ID)
			}
			g.MustPut(fed, "/k/15", "and it writes")
			g.Start(relay)
			converge(g)
		})
	})
}

// moveTo says of members that they are in another region.
func moveTo(g *consensustest.Group, region string, members ...*consensustest.Member) {
	g.T.Helper()
	var ops []store.Op
	for _, m := range members {
		record, ok := g.Leader().Store().View().Member(m.ID)
		if !ok {
			g.T.Fatalf("%s is no member", m.ID)
		}
		record.Region = region
		ops = append(ops, store.PutMember(record))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := g.Leader().Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: ops}}); err != nil {
		g.T.Fatal(err)
	}
}
