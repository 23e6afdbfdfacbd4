package consensus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
)

// upgrading is a group whose members run the program of today, or the one of a version later.
type upgrading struct {
	*consensustest.Group
	*testing.T
	newer map[*consensustest.Member]bool
}

func newUpgrading(t *testing.T, g *consensustest.Group) *upgrading {
	u := &upgrading{Group: g, T: t, newer: map[*consensustest.Member]bool{}}
	g.Tune = func(m *consensustest.Member, c *consensus.Config) {
		c.Store = store.NewFaulty(nil, fault.Set{NextVersion: u.newer[m]})
		c.SnapshotThreshold, c.TrailingLogs = 4, 4 // with fewer, raft cannot compare an entry that it has with its snapshot
		c.Timing = consensus.DefaultTiming()
		c.Timing.Snapshot = 500 * time.Millisecond
	}
	return u
}

// run restarts a member with one program or the other, which says what it can.
func (u *upgrading) run(m *consensustest.Member, newer bool) {
	u.Helper()
	u.newer[m] = newer
	u.Kill(m)
	u.Start(m)
	u.tell(m)
}

func (u *upgrading) tell(m *consensustest.Member) {
	u.Helper()
	ctx, cancel := contextFor(u.T, time.Minute)
	defer cancel()
	if _, err := m.Node().Read(ctx); err != nil {
		u.Fatal(err)
	}
	self, ok := m.Store().View().Member(m.ID)
	if !ok {
		u.Fatalf("%s is no member", m.ID)
	}
	self.Applies = m.Store().Applies()
	if _, err := m.Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: []store.Op{store.PutMember(self)}}}); err != nil {
		u.Fatalf("%s cannot say what it applies: %v", m.ID, err)
	}
}

func (u *upgrading) raise() error {
	ctx, cancel := contextFor(u.T, time.Minute)
	defer cancel()
	_, err := u.Leader().Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: []store.Op{store.RaiseVersion(2)}}})
	return err
}

func TestUpgrade(t *testing.T) {
	t.Run("members are upgraded in either order, and back, while the version is not raised", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			u := newUpgrading(t, g)
			g.Found(3)
			for round := range 2 {
				for i := range g.Members {
					m := g.Members[i]
					if round == 1 {
						m = g.Members[2-i] // the other order
					}
					u.run(m, true)
					g.MustPut(g.Leader(), "/k", "next")
					if round == 0 {
						if i < 2 && u.raise() == nil {
							t.Error("raised, though one cannot")
						}
						u.run(m, false)
						g.MustPut(g.Leader(), "/k", "next")
					}
				}
			}
			converge(g)
			if v, _ := g.Members[0].Get("/k"); v != "next" {
				t.Errorf("before it was raised: %q", v)
			}
			if err := u.raise(); err != nil {
				t.Fatal(err)
			}
			g.MustPut(g.Leader(), "/k", "next")
			converge(g)
			if v, _ := g.Members[0].Get("/k"); v != "applied by the next version" {
				t.Errorf("after it was raised: %q", v)
			}
		})
	})
	for _, snapshots := range []bool{false, true} {
		name := "an older program stops at the raised version, keeps its state, and goes on after the upgrade"
		if snapshots {
			name = "so it does when only a snapshot of the raised version is left"
		}
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				u := newUpgrading(t, g)
				g.Found(3)
				for _, m := range g.Members {
					u.run(m, true)
				}
				old := g.Members[2]
				good := g.MustPut(g.Leader(), "/k", "good")
				g.WaitFor("the write to arrive", func() bool { return old.Store().View().Revision() == good.Revision })
				g.Kill(old) // back to the older program, and the fleet does not wait for its word
				if err := u.raise(); err != nil {
					t.Fatal(err)
				}
				if snapshots {
					for range 20 {
						g.MustPut(g.Leader(), "/k", "next")
					}
					time.Sleep(5 * time.Second)
				}
				g.MustPut(g.Leader(), "/k", "next")
				u.newer[old] = false
				g.Start(old)
				g.WaitFor("it to stop", func() bool { return old.Node().Stopped() != nil })
				if err := old.Node().Stopped(); !errors.Is(err, store.ErrNewerVersion) {
					t.Errorf("stopped by %v", err)
				}
				for range 20 {
					g.MustPut(g.Leader(), "/k", "next")
				}
				time.Sleep(5 * time.Second)
				if v, _ := old.Get("/k"); v == "applied by the next version" || old.Store().View().Version() != 1 {
					t.Errorf("it went on to %q", v)
				}
				g.Kill(old)
				u.newer[old] = true
				g.Start(old)
				converge(g)
				if v, _ := old.Get("/k"); v != "applied by the next version" {
					t.Errorf("after the upgrade: %q", v)
				}
			})
		})
	}
}
