package consensus_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestDisk(t *testing.T) {
	boom := errors.New("input/output error")

	t.Run("a failed write on the leader ends it once, and another leads", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			old := g.Leader()
			old.Disk.Fail(boom)
			proposeInBackground(t, old)
			next := g.Leader(old)
			g.MustPut(next, "/k", "v")
			wantFatal(t, old, boom.Error())
		})
	})

	t.Run("a failed write on a follower ends it once, and the others go on", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			follower := other(g, leader)
			follower.Disk.Fail(boom)
			g.MustPut(leader, "/k", "v")
			time.Sleep(time.Second)
			wantFatal(t, follower, boom.Error())
			if g.Leader() != leader {
				t.Error("the leader changed")
			}
		})
	})

	t.Run("a stalled disk on the leader ends it once, and another leads", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			old := g.Leader()
			old.Disk.Stall()
			proposeInBackground(t, old)
			time.Sleep(consensus.DefaultTiming().DiskStall + 5*time.Second)
			next := g.Leader(old)
			g.MustPut(next, "/k", "v")
			wantFatal(t, old, "takes longer than")
		})
	})

	t.Run("without the guard a stalled leader stays in office, so it is still needed", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) { c.Faults.NoGuard = true }
			g.Found(3)
			old := g.Leader()
			old.Disk.Stall()
			proposeInBackground(t, old)
			time.Sleep(time.Minute)
			for _, m := range g.Members {
				if m != old && m.Node().Status().State == "leader" {
					t.Error("another leads: raft no longer shows the fault")
				}
			}
			old.Disk.Release()
		})
	})

	t.Run("a node does not start on a disk that takes no writes, and says so", func(t *testing.T) {
		bubble(t, 1, 0, func(t *testing.T, g *consensustest.Group) {
			g.Found(1)
			m := g.Members[0]
			g.Kill(m)
			m.Disk.FailAt(2, boom) // the first write is the sequence's, the next one raft's
			m.Endpoint.Up()
			_, err := consensus.Open(consensus.Config{
				ID: m.ID, Store: store.New(nil), Network: m.Endpoint, Stores: m.Disk.Stores(), Fatal: func(error) {},
			})
			if err == nil || !strings.Contains(err.Error(), boom.Error()) {
				t.Errorf("opened with: %v", err)
			}
		})
	})

	t.Run("a node whose disk failed acknowledges nothing and closes", func(t *testing.T) {
		bubble(t, 1, 0, func(t *testing.T, g *consensustest.Group) {
			g.Found(1)
			m := g.Members[0]
			m.Disk.Fail(boom)
			ctx, cancel := contextFor(t, 3*time.Second)
			defer cancel()
			if _, err := g.Put(ctx, m, "/k", "v"); !errors.Is(err, consensus.ErrUncertain) {
				t.Errorf("got %v", err)
			}
			m.Disk.Fail(nil)
			if _, err := g.Put(ctx, m, "/k", "v"); err == nil {
				t.Error("acknowledged a write after its disk failed")
			}
			if _, _, ok := m.Node().Leader(); ok {
				t.Error("still believes in a leader")
			}
			if err := m.Node().Healthy(ctx); err == nil {
				t.Error("believes to be healthy")
			}
			wantFatal(t, m, boom.Error())
		})
	})
}

// proposeInBackground makes the node touch its disk; what comes of it does not matter.
func proposeInBackground(t *testing.T, m *consensustest.Member) {
	ctx, cancel := contextFor(t, 20*time.Second)
	go func() {
		defer cancel()
		m.Node().Propose(ctx, put("/doomed", "x"))
	}()
}

func other(g *consensustest.Group, m *consensustest.Member) *consensustest.Member {
	for _, o := range g.Members {
		if o != m {
			return o
		}
	}
	return nil
}

// wantFatal wants exactly one call of Fatal.
func wantFatal(t *testing.T, m *consensustest.Member, text string) {
	t.Helper()
	if len(m.Fatal) != 1 {
		t.Fatalf("fatal was called %d times", len(m.Fatal))
	}
	if err := <-m.Fatal; !strings.Contains(err.Error(), text) {
		t.Errorf("fatal with %q", err)
	}
}
