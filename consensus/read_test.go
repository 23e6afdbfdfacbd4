package consensus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/internal/fault"
)

func TestReadDuringTransfer(t *testing.T) {
	// stale reads on a leader that is giving up its office and hears late of its successor's first write.
	stale := func(t *testing.T, trial int, tune func(*consensus.Config)) (stale bool) {
		bubble(t, 3, 0, func(t *testing.T, g *consensustest.Group) {
			old := g.Members[0]
			g.Net.SetLatency(func(_, to consensus.MemberID) time.Duration {
				if to == old.ID {
					return 100 * time.Millisecond
				}
				return 5 * time.Millisecond
			})
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) { tune(c) }
			g.Found(3)
			time.Sleep(time.Duration(3000+trial*37) * time.Millisecond)
			if g.Leader() != old {
				return
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				old.Node().Transfer(context.Background())
			}()
			defer func() { <-done }()
			next := g.Leader(old)
			g.MustPut(next, "/k", "new")
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if _, err := old.Node().Read(ctx); err == nil {
				_, seen := old.Get("/k")
				stale = !seen
			}
		})
		return stale
	}
	t.Run("a read sees what the next leader has acknowledged", func(t *testing.T) {
		for trial := range 20 {
			if stale(t, trial, func(*consensus.Config) {}) {
				t.Fatalf("stale read in trial %d", trial)
			}
		}
	})
	t.Run("with VerifyLeader it does not, so the barrier is still needed", func(t *testing.T) {
		for trial := range 20 {
			if stale(t, trial, with(fault.Set{VerifyLeader: true})) {
				return
			}
		}
		t.Error("VerifyLeader showed no stale read")
	})
}

func TestRead(t *testing.T) {
	t.Run("any member reads what any other has acknowledged", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			for i, m := range g.Members {
				want := g.MustPut(m, "/k", string(m.ID))
				reader := g.Members[(i+1)%3]
				got, err := reader.Node().Read(t.Context())
				if err != nil || got < want.Revision {
					t.Errorf("read at %s: revision %d, %v; want %d", reader.ID, got, err, want.Revision)
				}
				if v, _ := reader.Get("/k"); v != string(m.ID) {
					t.Errorf("%s reads %q after %s wrote", reader.ID, v, m.ID)
				}
			}
		})
	})
	t.Run("without quorum it fails as such when its time is over", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			g.Net.Isolate(leader.ID, true)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err := leader.Node().Read(ctx); !errors.Is(err, consensus.ErrNoQuorum) {
				t.Errorf("got %v", err)
			}
		})
	})
}
