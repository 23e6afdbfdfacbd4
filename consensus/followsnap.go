package consensus

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// partial is a snapshot of which a part has arrived. It outlives the stream: the next one to the same source goes on
// behind it, as long as it is still the newest there.
type partial struct {
	source MemberID
	head   followSnapshot
	have   int64
	file   spooled
}

// offer is what the hello says of the snapshot that is here in part.
func (f *feeder) offer(source MemberID) (id string, have int64) {
	if f.partial == nil || f.partial.source != source {
		return "", 0
	}
	return f.partial.head.ID, f.partial.have
}

// drop forgets the part.
func (f *feeder) drop() {
	if f.partial != nil {
		f.partial.file.Close()
		f.partial = nil
	}
}

// receive begins a snapshot, or goes on with the part that is here.
func (f *feeder) receive(source MemberID, head *followSnapshot) error {
	if err := head.check(); err != nil {
		return err
	}
	if id, have := f.offer(source); head.Offset > 0 && (id != head.ID || have != head.Offset || f.partial.head.Size != head.Size) {
		return fmt.Errorf("%w: the snapshot goes on at %d", errMalformed, head.Offset)
	}
	if head.Offset > 0 {
		return nil
	}
	f.drop()
	file, err := f.n.transport.newSpool(head.Size)
	if err != nil {
		return fmt.Errorf("receive snapshot: %w", err)
	}
	f.partial = &partial{source: source, head: *head, file: file}
	return nil
}

// add takes the next piece, and installs the snapshot with the last one. Then it says where the log goes on.
func (f *feeder) add(source MemberID, piece []byte, leader MemberID) (position, error) {
	p := f.partial
	if p == nil || p.source != source || int64(len(piece)) > p.head.Size-p.have {
		return position{}, fmt.Errorf("%w: a piece of no snapshot", errMalformed)
	}
	if _, err := p.file.Write(piece); err != nil {
		f.drop()
		return position{}, fmt.Errorf("keep snapshot: %w", err)
	}
	p.have += int64(len(piece))
	if p.have < p.head.Size {
		return position{}, nil
	}
	defer f.drop()
	return position{p.head.Index, p.head.Term}, f.n.installFed(p, leader)
}

// installFed hands a whole snapshot of a source to the local raft as its leader would.
func (n *Node) installFed(p *partial, leader MemberID) error {
	if !n.mayFeed() {
		return errNotFed
	}
	req := &raft.InstallSnapshotRequest{
		RPCHeader: headerOf(leader), SnapshotVersion: raft.SnapshotVersionMax, Term: max(n.raft.CurrentTerm(), p.head.Term),
		LastLogIndex: p.head.Index, LastLogTerm: p.head.Term, Size: p.head.Size,
		Configuration: p.head.Configuration, ConfigurationIndex: p.head.ConfigurationIndex,
	}
	a, err := n.install(p.source, req, p.file)
	if err != nil {
		return fmt.Errorf("install snapshot: %w", err)
	}
	if resp, ok := a.(*raft.InstallSnapshotResponse); ok && !resp.Success {
		return fmt.Errorf("install snapshot of entry %d: raft refused it", p.head.Index)
	}
	return nil
}
