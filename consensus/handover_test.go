package consensus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestHandover(t *testing.T) {
	t.Run("whom it goes to dies at that moment, and no write fails", func(t *testing.T) {
		for _, after := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond, 140 * time.Millisecond} {
			bubble(t, 3, 20*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				g.Found(3)
				old := g.Leader()
				next := other(g, old)
				stop := make(chan struct{})
				written := make(chan struct{})
				go func() {
					defer close(written)
					for i := 0; ; i++ {
						g.MustPut(old, "/k", fmt.Sprint(i))
						select {
						case <-stop:
							return
						case <-time.After(5 * time.Millisecond):
						}
					}
				}()
				time.Sleep(time.Second)
				time.AfterFunc(after, next.Endpoint.Down)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				err := old.Node().TransferTo(ctx, next.ID)
				time.Sleep(10 * time.Second)
				close(stop)
				<-written
				t.Logf("dead after %s: %v", after, err)
			})
		}
	})
	t.Run("a leader that leads no longer when it has read what to send sends nothing: another may have rewritten its log", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			old := g.Leader()
			next, term := other(g, old), old.Node().Status().Term
			g.MustPut(old, "/k", "v")
			if err := consensus.Lacking(old.Node(), next.ID, term); err != nil {
				t.Fatal(err)
			}
			g.Net.Isolate(old.ID, true)
			g.MustPut(g.Leader(old), "/k", "of another term")
			g.Net.Isolate(old.ID, false)
			g.WaitFor("the log of the old leader to be another", func() bool { v, _ := old.Get("/k"); return v == "of another term" })
			if consensus.Lacking(old.Node(), next.ID, term) == nil {
				t.Error("it would send entries of another leader as its own")
			}
		})
	})
	t.Run("decisions of a leader that could not hand over go on", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			old := g.Leader()
			next := other(g, old)
			next.Endpoint.Down()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := old.Node().TransferTo(ctx, next.ID); err == nil {
				t.Fatal("handed over to a dead member")
			}
			p := put("/k", "v")
			p.Term = old.Node().Status().Term
			if _, err := old.Node().Propose(ctx, p); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("nobody stands but for its leader, in its term", func(t *testing.T) {
		bubble(t, 3, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			called, third := others(g, leader)
			term := leader.Node().Status().Term
			for _, c := range []struct {
				by     *consensustest.Member
				term   uint64
				stands bool
			}{{third, term, false}, {leader, term - 1, false}, {leader, term + 1, false}, {leader, term, true}} {
				conn, err := c.by.Endpoint.Open(t.Context(), called.ID, consensus.Control, "stand")
				if err != nil {
					t.Fatal(err)
				}
				stands, err := consensus.CallOver(conn, c.term)
				if err != nil || stands != c.stands {
					t.Errorf("called by %s in term %d: stands %v, %v", c.by.ID, c.term, stands, err)
				}
				conn.Close()
			}
			g.WaitFor("the one who was called to lead", func() bool { return called.Node().Status().State == "leader" })
		})
	})
}
