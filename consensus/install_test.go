package consensus_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// A member that has entries which were never committed, and then gets a snapshot in place of what was, keeps none of them.
func TestSnapshotOverAnotherTail(t *testing.T) {
	for name, tail := range map[string]uint64{"shorter than the snapshot": 3, "longer than the snapshot": 400} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				g.Tune = func(m *consensustest.Member, c *consensus.Config) {
					smallLogs(m, c)
					c.TrailingLogs = 16
				}
				g.Found(3)
				away := other(g, g.Leader())
				g.Kill(away)
				appendStale(t, away, tail)
				changeTerm(t, g, away)
				for i := range 60 {
					g.MustPut(g.Leader(), "/k", fmt.Sprint(i))
				}
				time.Sleep(time.Second)
				g.Start(away)
				caughtUp := func() bool { v, _ := away.Get("/k"); return v == "59" || len(away.Fatal) > 0 }
				g.WaitFor("the snapshot", caughtUp)
				if len(away.Fatal) > 0 {
					<-away.Fatal
					g.Kill(away)
					g.Start(away)
					g.WaitFor("the member to go on", caughtUp)
				}
				g.MustPut(g.Leader(), "/k", "behind it")
				g.WaitFor("the next entry", func() bool { v, _ := away.Get("/k"); return v == "behind it" })
				wantSameLog(t, g.Leader(), away)
			})
		})
	}
}

// appendStale gives a stopped member entries that nobody else has.
func appendStale(t *testing.T, m *consensustest.Member, n uint64) {
	t.Helper()
	stores, err := consensus.CheckStores(*m.Disk.Stores())
	if err != nil {
		t.Fatal(err)
	}
	last, _ := stores.Log.LastIndex()
	var l raft.Log
	if err := stores.Log.GetLog(last, &l); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := stores.Log.StoreLog(&raft.Log{Index: last + 1 + i, Term: l.Term, Type: raft.LogNoop}); err != nil {
			t.Fatal(err)
		}
	}
}

// changeTerm has another member lead, in a newer term, while one is away.
func changeTerm(t *testing.T, g *consensustest.Group, away *consensustest.Member) {
	t.Helper()
	old := g.Leader(away)
	ctx, cancel := contextFor(t, time.Minute)
	defer cancel()
	for _, m := range g.Members {
		if m == old || m == away {
			continue
		}
		if err := old.Node().TransferTo(ctx, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	g.WaitFor("another leader", func() bool { return g.Leader(away) != old })
}

// wantSameLog compares the entries that both members have.
func wantSameLog(t *testing.T, a, b *consensustest.Member) {
	t.Helper()
	both := 0
	last, _ := a.Disk.Stores().Log.LastIndex()
	for i := uint64(1); i <= last; i++ {
		var x, y raft.Log
		if a.Disk.GetLog(i, &x) != nil || b.Disk.GetLog(i, &y) != nil {
			continue
		}
		both++
		if x.Term != y.Term {
			t.Errorf("entry %d is of term %d here and %d there", i, x.Term, y.Term)
		}
	}
	if both == 0 {
		t.Error("the logs have nothing in common")
	}
}

func TestOvertakenLog(t *testing.T) {
	t.Run("a log that a snapshot came over, and a crash kept, is dropped at the start", func(t *testing.T) {
		for _, tt := range []struct {
			name        string
			last        uint64 // of the log, which is of term 1
			index, term uint64 // of the snapshot
			want        uint64
		}{
			{"it ends before the snapshot", 5, 9, 1, 0},
			{"its entry at the snapshot is another one", 9, 7, 2, 0},
			{"it has the snapshot's entry", 9, 7, 1, 9},
		} {
			disk := consensustest.NewDisk(nil)
			stores, err := consensus.CheckStores(*disk.Stores())
			if err != nil {
				t.Fatal(err)
			}
			for i := range tt.last {
				if err := stores.Log.StoreLog(&raft.Log{Index: i + 1, Term: 1, Type: raft.LogNoop}); err != nil {
					t.Fatal(err)
				}
			}
			if err := stores.Stable.SetUint64([]byte("CurrentTerm"), 2); err != nil {
				t.Fatal(err)
			}
			sink, err := stores.Snapshots.Create(raft.SnapshotVersionMax, tt.index, tt.term, raft.Configuration{}, 1, nil)
			if err != nil || sink.Close() != nil {
				t.Fatal(err)
			}
			again, err := consensus.CheckStores(*disk.Stores())
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if last, _ := again.Log.LastIndex(); last != tt.want {
				t.Errorf("%s: the log ends at %d", tt.name, last)
			}
		}
	})
}

// A leader of the past offers a snapshot to a member that has a newer one, and nothing behind it.
func TestRefusedSnapshot(t *testing.T) {
	bubble(t, 2, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
		m := g.Members[0]
		var both raft.Configuration
		for _, m := range g.Members {
			both.Servers = append(both.Servers, raft.Server{ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.ID)})
		}
		var content bytes.Buffer
		if _, err := store.New(nil).Snapshot().WriteTo(&content); err != nil {
			t.Fatal(err)
		}
		stores, err := consensus.CheckStores(*m.Disk.Stores())
		if err != nil || stores.Stable.SetUint64([]byte("CurrentTerm"), 6) != nil {
			t.Fatal(err)
		}
		sink, err := stores.Snapshots.Create(raft.SnapshotVersionMax, 500, 6, both, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Write(content.Bytes()); err != nil || sink.Close() != nil {
			t.Fatal(err)
		}
		g.Start(m)
		resp, err := consensus.OfferSnapshot(m.Node(), &raft.InstallSnapshotRequest{
			RPCHeader: header("m2"), SnapshotVersion: raft.SnapshotVersionMax, Term: 5, LastLogIndex: 400, LastLogTerm: 5,
			Configuration: raft.EncodeConfiguration(both), ConfigurationIndex: 1,
		}, content.Bytes())
		if err != nil || resp.Success || len(m.Fatal) > 0 {
			t.Errorf("answered with %+v, %v; ended %d times", resp, err, len(m.Fatal))
		}
	})
}

// A leader with bad memory sends what is no snapshot.
func TestDamagedSnapshot(t *testing.T) {
	bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
		g.Found(3)
		leader := g.Leader()
		follower := other(g, leader)
		has := follower.Node().Status()
		_, err := consensus.OfferSnapshot(follower.Node(), &raft.InstallSnapshotRequest{
			RPCHeader: header(leader.ID), SnapshotVersion: raft.SnapshotVersionMax, Term: has.Term, LastLogIndex: has.Last + 100, LastLogTerm: has.Term,
			Configuration: raft.EncodeConfiguration(raft.Configuration{}),
		}, nil)
		if !errors.Is(err, consensus.ErrDamagedOffer) {
			t.Errorf("it was answered with %v", err)
		}
		if metas, err := follower.Disk.Stores().Snapshots.List(); err != nil || len(metas) != 0 {
			t.Errorf("it is kept: %v, %v", metas, err)
		}
		g.MustPut(follower, "/k", "the member goes on")
		g.Kill(follower)
		g.Start(follower)
		g.MustPut(follower, "/k", "and starts again")
	})
}
