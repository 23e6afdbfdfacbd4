package consensus

// What is committed is asked beside raft's main loop, and what is in the log is read after that. So only what a log can
// never lose counts. raft's commit index is such: whoever raised it had compared this log up to there. The store is not, nor
// is raft's AppliedIndex: raft hands another member's snapshot to the store first, counts it as applied, and then drops the log
// that does not have the snapshot's last entry. Until then that log has, at indexes which the store is past, entries that
// were never committed. A snapshot counts once raft is done with it, and has answered for it.

// committed is the last entry that this member knows to be committed, and has on its disk: see tail.go. What the log has up to
// there is committed, now and later.
func (n *Node) committed() uint64 {
	base := n.base.Load()
	known := min(max(n.raft.CommitIndex(), base), n.raft.LastIndex())
	return max(n.logs.settled(known), min(base, known))
}

// rebase notes that everything up to an entry is committed and was applied, and that the log has nothing else in its place.
// Followers are to have it.
func (n *Node) rebase(index uint64) {
	n.base.Store(max(n.base.Load(), index))
	n.fsm.applied.send()
}

// committedConfiguration is the newest configuration that this member knows to be committed: the newest of those that
// were applied here, or the one in the newest snapshot. raft tells the index of none: in its Stats it is always 0.
func (n *Node) committedConfiguration() (newest configured) {
	if c := n.fsm.configured.Load(); c != nil {
		newest = *c
	}
	if m, err := n.newestMeta(); err == nil && m != nil && m.ConfigurationIndex > newest.index {
		newest = configured{m.ConfigurationIndex, serversOf(m.Configuration)}
	}
	return newest
}
