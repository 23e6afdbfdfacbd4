package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// astray is a group whose old leader wrote some entries while nobody followed it, behind from, and the others some more than
// they were told.
func astray(t *testing.T, g *consensustest.Group, alone, others int) (old, leader *consensustest.Member, from uint64) {
	t.Helper()
	g.Tune = func(_ *consensustest.Member, c *consensus.Config) {
		c.SnapshotThreshold, c.TrailingLogs = 4, 2
		c.Timing = consensus.DefaultTiming()
		c.Timing.Snapshot = 200 * time.Millisecond
	}
	g.Found(3)
	old = g.Leader()
	from = old.Node().Status().Last
	g.Net.Isolate(old.ID, true)
	for i := range alone {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		g.Put(ctx, old, fmt.Sprintf("/alone/%d", i), "v")
		cancel()
	}
	if last, _ := old.Disk.Stores().Log.LastIndex(); last <= from {
		t.Fatal("the old leader wrote nothing alone")
	}
	leader = g.Leader(old)
	for i := range others {
		g.MustPut(leader, fmt.Sprintf("/k/%d", i), "v")
	}
	g.MustPut(leader, "/last", "v")
	return old, leader, from
}

// compacted waits until a member's log begins behind an entry.
func compacted(g *consensustest.Group, m *consensustest.Member, behind uint64) {
	g.T.Helper()
	g.WaitFor("a snapshot", func() bool {
		first, _ := m.Disk.Stores().Log.FirstIndex()
		return first > behind
	})
}

// wantNothingStale wants no entry behind from that only the old leader had.
func wantNothingStale(t *testing.T, m, leader *consensustest.Member, from uint64) {
	t.Helper()
	log := m.Disk.Stores().Log
	last, _ := log.LastIndex()
	for i := from + 1; i <= last; i++ {
		var have, want raft.Log
		switch err := log.GetLog(i, &have); {
		case errors.Is(err, raft.ErrLogNotFound):
			continue
		case err != nil:
			t.Fatal(err)
		case leader.Disk.Stores().Log.GetLog(i, &want) != nil:
			if now := leader.Node().Status().Term; have.Term != now {
				t.Errorf("entry %d is of term %d, and all behind entry %d are of term %d", i, have.Term, from, now)
			}
		case want.Term != have.Term:
			t.Errorf("entry %d is of term %d, the leader's of term %d", i, have.Term, want.Term)
		}
	}
}

func TestAstrayLog(t *testing.T) {
	t.Run("what nobody followed is gone after a snapshot that goes further", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			old, leader, from := astray(t, g, 8, 60)
			compacted(g, leader, from+2)
			g.Net.Isolate(old.ID, false)
			g.WaitFor("the old leader to catch up", func() bool { _, ok := old.Get("/last"); return ok })
			wantNothingStale(t, old, leader, from)
			if _, ok := old.Get("/alone/0"); ok {
				t.Error("what nobody followed was applied")
			}
		})
	})
	t.Run("a log that goes another way right behind its own snapshot is put right", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			old, leader, from := astray(t, g, 8, 0)
			compacted(g, old, from)
			g.Net.Isolate(old.ID, false)
			g.WaitFor("the old leader to catch up", func() bool { _, ok := old.Get("/last"); return ok })
			wantNothingStale(t, old, leader, from)
		})
	})
}
