package consensus

import (
	"errors"

	"github.com/hashicorp/raft"
)

// A leader that first spoke to this member when it had nothing sends it a snapshot, while the stream that the member
// follows may bring it further. raft compares what a leader sends with its log, and does not find there what lies in its
// snapshot: it would ask for the same for ever, or go back to the older snapshot and find no log to go on with. But what is
// committed here is what every leader has, so there is nothing to compare.

// errKnown: a leader's snapshot overtook the source's. The stream begins anew behind it.
var errKnown = errors.New("what the snapshot holds is here already")

// skipKnown takes out of a request what is committed here already.
func (n *Node) skipKnown(req *raft.AppendEntriesRequest) {
	first := req.PrevLogEntry + 1
	committed := n.committed()
	if req.PrevLogEntry > committed || req.PrevLogEntry == 0 && (len(req.Entries) == 0 || committed == 0) {
		return
	}
	known := min(committed+1-first, uint64(len(req.Entries)))
	req.Entries = req.Entries[known:]
	if len(req.Entries) == 0 {
		req.LeaderCommitIndex = min(req.LeaderCommitIndex, committed)
	}
	req.PrevLogEntry, req.PrevLogTerm = 0, 0
}

// knows says that all of a snapshot is committed here already, so that it need not be installed.
func (n *Node) knows(req *raft.InstallSnapshotRequest) bool {
	return req.Term >= n.raft.CurrentTerm() && req.LastLogIndex <= n.committed()
}
