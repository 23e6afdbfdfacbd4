package consensus_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
)

// losing is a consensus.Network that swallows the first answer to a stream of one kind and breaks the stream.
type losing struct {
	consensus.Network
	kind string
	once sync.Once
}

func (l *losing) Open(ctx context.Context, to consensus.MemberID, class consensus.Class, kind string) (net.Conn, error) {
	c, err := l.Network.Open(ctx, to, class, kind)
	if err != nil || kind != l.kind {
		return c, err
	}
	return &losingConn{Conn: c, l: l}, nil
}

type losingConn struct {
	net.Conn
	l *losing
}

func (c *losingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.l.once.Do(func() { n, err = 0, net.ErrClosed })
	return n, err
}

func TestForward(t *testing.T) {
	// applied counts how often the store changed by one proposal whose first answer was lost.
	applied := func(t *testing.T, tune func(*consensus.Config)) (times store.Revision, err error) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			follower := g.Members[2]
			g.Tune = func(m *consensustest.Member, c *consensus.Config) {
				tune(c)
				if m == follower {
					c.Network = &losing{Network: c.Network, kind: "propose"}
				}
			}
			g.Found(3)
			before := g.Leader().Store().View().Revision()
			ctx, cancel := contextFor(t, 5*time.Second)
			defer cancel()
			_, err = g.Put(ctx, follower, "/k", "v")
			converge(g)
			times = g.Leader().Store().View().Revision() - before
		})
		return times, err
	}
	t.Run("a proposal whose answer is lost is repeated and applied once", func(t *testing.T) {
		if times, err := applied(t, func(*consensus.Config) {}); times != 1 || err != nil {
			t.Errorf("applied %d times: %v", times, err)
		}
	})
	t.Run("with a new number for each attempt it is applied twice, so the number is needed", func(t *testing.T) {
		if times, _ := applied(t, with(fault.Set{FreshSequence: true})); times != 2 {
			t.Errorf("applied %d times", times)
		}
	})

	t.Run("a conflict reaches the proposer typed, with its own store caught up", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			won := g.MustPut(leader, "/k", "v")
			follower := other(g, leader)
			_, err := follower.Node().Propose(t.Context(), consensus.Proposal{Txn: store.Txn{
				If: []store.Condition{store.KeyAbsent("/k")}, Then: []store.Op{store.Put("/k", []byte("w"))},
			}})
			var conflict *store.Conflict
			if !errors.As(err, &conflict) || conflict.Current == nil || conflict.Current.Modified != won.Revision {
				t.Fatalf("got %v", err)
			}
			if v, _ := follower.Get("/k"); v != "v" {
				t.Errorf("the proposer still sees %q", v)
			}
		})
	})

	t.Run("without a leader it is surely not written", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			alone := g.Members[0]
			g.Kill(g.Members[1])
			g.Kill(g.Members[2])
			time.Sleep(5 * time.Second)
			ctx, cancel := contextFor(t, 3*time.Second)
			defer cancel()
			if _, err := g.Put(ctx, alone, "/k", "v"); !errors.Is(err, consensus.ErrNoQuorum) {
				t.Errorf("got %v", err)
			}
			g.Start(g.Members[1])
			g.MustPut(alone, "/other", "v")
			if _, ok := alone.Get("/k"); ok {
				t.Error("it was written all the same")
			}
		})
	})

	t.Run("when the leader is cut off in the middle it is not certain, and repeating finds out", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			g.Net.Isolate(leader.ID, true)
			ctx, cancel := contextFor(t, 3*time.Second)
			defer cancel()
			if _, err := g.Put(ctx, leader, "/k", "v"); !errors.Is(err, consensus.ErrUncertain) {
				t.Errorf("got %v", err)
			}
			g.Net.Isolate(leader.ID, false)
			g.MustPut(leader, "/k", "v")
		})
	})

	t.Run("a proposal under way when the leader is cut off is finished by the next leader", func(t *testing.T) {
		bubble(t, 5, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = fiveVoters
			g.Found(5)
			leader := g.Leader()
			proposer := other(g, leader)
			g.Net.Isolate(leader.ID, true)
			start := time.Now()
			g.MustPut(proposer, "/k", "v")
			if took := time.Since(start); took > 8*time.Second {
				t.Errorf("took %s", took)
			}
		})
	})

	t.Run("a large value travels in pieces and causes no election", func(t *testing.T) {
		bubble(t, 3, 40*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			term := leader.Node().Status().Term
			follower := other(g, leader)
			g.Net.SetBandwidth(4 << 20) // bytes a second and stream
			value := noise(8 << 20)
			start := time.Now()
			g.MustPut(follower, "/big", value)
			t.Logf("8 MiB from a follower in %s", time.Since(start))
			for _, m := range g.Members {
				g.WaitFor("the value at "+string(m.ID), func() bool { v, _ := m.Get("/big"); return v == value })
				if s := m.Node().Status(); s.Term != term {
					t.Errorf("%s is in term %d, was %d", m.ID, s.Term, term)
				}
			}
		})
	})

	t.Run("a leader's decision is void once it leads no more", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			old := g.Leader()
			term := old.Node().Status().Term
			decision := put("/d", "v")
			decision.Term = term
			if _, err := old.Node().Propose(t.Context(), decision); err != nil {
				t.Fatal(err)
			}
			if err := old.Node().Transfer(t.Context()); err != nil {
				t.Fatal(err)
			}
			next := g.Leader(old)
			for _, m := range []*consensustest.Member{old, next} {
				if _, err := m.Node().Propose(t.Context(), decision); !errors.Is(err, store.ErrStaleTerm) {
					t.Errorf("at %s: got %v", m.ID, err)
				}
			}
		})
	})
}
