package consensus_test

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// A leader that takes a member for an empty one, which it was a moment ago, offers it a snapshot older than what it has.
func TestKnown(t *testing.T) {
	bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
		g.Tune = func(_ *consensustest.Member, c *consensus.Config) { c.SnapshotThreshold, c.TrailingLogs = 16, 1 }
		g.Found(3)
		leader := g.Leader()
		follower := other(g, leader)
		for i := range 40 {
			g.MustPut(leader, "/k", string(rune('a'+i%26)))
		}
		g.MustPut(leader, "/k", "last")
		g.WaitFor("the follower to have it", func() bool { v, _ := follower.Get("/k"); return v == "last" })
		has := follower.Node().Status()

		resp, err := consensus.OfferSnapshot(follower.Node(), &raft.InstallSnapshotRequest{
			RPCHeader: header(leader.ID), Term: has.Term, LastLogIndex: 2, LastLogTerm: 1,
			Configuration: raft.EncodeConfiguration(raft.Configuration{}),
		}, nil)
		if err != nil || !resp.Success || follower.Node().Status().Applied < has.Applied {
			t.Errorf("a snapshot of what is here is not answered for: %+v, %v", resp, err)
		}

		old := &raft.AppendEntriesRequest{
			RPCHeader: header(leader.ID), Term: has.Term, PrevLogEntry: 1, PrevLogTerm: 1, LeaderCommitIndex: has.Last + 9,
			Entries: []*raft.Log{{Index: 2, Term: 1}, {Index: 3, Term: 1}},
		}
		consensus.SkipKnown(follower.Node(), old)
		if len(old.Entries) != 0 || old.PrevLogEntry != 0 || old.LeaderCommitIndex > has.Last {
			t.Errorf("of entries that are here, the log's beginning or not, is left: %+v", old)
		}

		last := follower.Node().Status().Last
		next := &raft.AppendEntriesRequest{PrevLogEntry: last, PrevLogTerm: 1, Entries: []*raft.Log{{Index: last + 1, Term: 1}}}
		consensus.SkipKnown(follower.Node(), next)
		if len(next.Entries) != 1 || next.PrevLogEntry != 0 {
			t.Errorf("what goes on from what is committed is compared with the log, which may not have it: %+v", next)
		}

		later := &raft.AppendEntriesRequest{PrevLogEntry: last + 1, PrevLogTerm: 1, Entries: []*raft.Log{{Index: last + 2, Term: 1}}}
		consensus.SkipKnown(follower.Node(), later)
		if len(later.Entries) != 1 || later.PrevLogEntry != last+1 {
			t.Errorf("what goes on from what may not be committed is not compared: %+v", later)
		}
	})
}
