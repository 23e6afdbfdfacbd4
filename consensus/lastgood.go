package consensus

import (
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// hashicorp/raft keeps no commit index: after a restart it restores the last snapshot, and applies the log behind it
// only once a leader has committed again. A member that acted on what it had applied, and starts alone, would act on an
// older state. So what it applied is recorded, and applied again before raft starts:
//
//	Record:  view.Index → stable store, fsynced, before anybody acts on the view
//	Open:    snapshot, then own log up to the recorded index → store; then raft, whose entries up to there are skipped
//
// An entry that was applied is committed, so neither it nor anything before it can be replaced in the log.

// keyApplied is where the stable store keeps the recorded index.
var keyApplied = []byte("HanseApplied")

// Record makes sure that the state of a view is never gone back behind, whatever happens to this process: a Store that
// is opened on the same files has applied at least as much. Call it before acting on the view. It takes an fsync,
// unless as much was recorded before.
func (n *Node) Record(v *store.View) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.leave()
	n.recorded.Lock()
	defer n.recorded.Unlock()
	if v.Index() <= n.recorded.index {
		return nil
	}
	// try, not do: this is the caller's goroutine, which must see the error and not end.
	write := func() error { return n.stores.Stable.SetUint64(keyApplied, v.Index()) }
	if err := n.guard.try("write applied index", write); err != nil {
		return fmt.Errorf("record applied index: %w", err)
	}
	n.recorded.index = v.Index()
	return nil
}

// applyRecorded brings the store to where Record left it. It runs before raft does.
func (n *Node) applyRecorded() error {
	recorded, err := n.stores.Stable.GetUint64(keyApplied)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("read applied index: %w", err)
	}
	n.recorded.index = recorded
	if recorded == 0 {
		return nil
	}
	from, err := n.restoreNewest()
	if err != nil {
		return err
	}
	for i := from + 1; i <= recorded; i++ {
		var entry raft.Log
		if err := n.stores.Log.GetLog(i, &entry); err != nil {
			return fmt.Errorf("read entry %d, which was applied: %w", i, err)
		}
		if entry.Type != raft.LogCommand {
			continue
		}
		if a, ok := n.fsm.Apply(&entry).(applied); ok && a.err != nil {
			return nil // by a newer version of the program; the node says so, and keeps this state
		}
	}
	return nil
}

// restoreNewest restores the newest snapshot, as raft will, and returns the index up to which it stands for the log; 0
// when there is none.
func (n *Node) restoreNewest() (index uint64, err error) {
	newest, err := n.newestMeta()
	if err != nil || newest == nil {
		return 0, err
	}
	_, r, err := n.openSnapshot(newest.ID)
	if err != nil {
		return 0, err
	}
	if err := n.fsm.Restore(r); err != nil {
		return 0, err
	}
	return newest.Index, nil
}
