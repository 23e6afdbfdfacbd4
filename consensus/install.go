package consensus

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// A snapshot of another member, of a leader or of a source, is checked before raft has it: raft keeps it first, and
// finds out then that the store cannot read it, so that a sender with bad memory would leave us without a snapshot.

// errDamaged: what a peer sent as a snapshot is none. It is not our disk that is damaged.
var errDamaged = errors.New("the snapshot is damaged, and was not taken over")

// install takes over a snapshot that is here whole and says what raft answers. What is committed here already is
// errKnown.
func (n *Node) install(from MemberID, req *raft.InstallSnapshotRequest, s spooled) (any, error) {
	if n.knows(req) {
		return nil, errKnown
	}
	if err := verify(s); err != nil {
		n.cfg.Logger.Error("snapshot refused", "peer", from, "index", req.LastLogIndex, "error", err)
		return nil, err
	}
	n.transport.fed.Lock()
	defer n.transport.fed.Unlock()
	if n.knows(req) {
		return nil, errKnown
	}
	answer, err := n.ask(raft.RPC{Command: req, Reader: s})
	if resp, ok := answer.(*raft.InstallSnapshotResponse); err == nil && ok && resp.Success {
		n.forgetTail(req)
		n.rebase(req.LastLogIndex)
	}
	return answer, err
}

// verify reads a snapshot to its end, and goes back to its beginning. One of a newer format cannot be judged: raft keeps
// it for the newer program, as it does with entries.
func verify(s spooled) error {
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	if err := store.Verify(s); err != nil && !errors.Is(err, store.ErrNewerVersion) {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	return nil
}

// forgetTail ends the process when raft dropped a log that went on behind the snapshot, see tail.IsMonotonic: it would go
// on believing that it has those entries. The next start finds the log as it is.
func (n *Node) forgetTail(req *raft.InstallSnapshotRequest) {
	if n.guard.isBroken() || n.raft.LastIndex() <= req.LastLogIndex {
		return
	}
	if last, err := n.logs.LastIndex(); err != nil || last != 0 {
		return
	}
	n.guard.breakWith(fmt.Errorf("the log went on behind entry %d with entries that were never committed; they are dropped: start again", req.LastLogIndex))
}

// newestPosition is the last entry of the newest snapshot; 0 when there is none.
func (n *Node) newestPosition() (position, error) {
	m, err := n.newestMeta()
	if err != nil || m == nil {
		return position{}, n.guard.seen(err)
	}
	return position{m.Index, m.Term}, nil
}
