package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// followPace is the least time between two frames of entries to one follower, so that under load they are few and
	// full. The first after a pause goes at once.
	followPace = 10 * time.Millisecond
	// followBeat is how often a source speaks when there is nothing to say.
	followBeat = time.Second
	// maxSnapshotsOut bounds the snapshots that are sent at once; who comes later waits.
	maxSnapshotsOut = 4
	// snapshotGrace and slowestSnapshot bound how long one of them may take: who takes it slower than that begins anew
	// where it was, when it is its turn again.
	snapshotGrace   = time.Minute
	slowestSnapshot = 64 << 10 // bytes a second
)

// serveFollow answers one follower until it goes, is no member any more, or the node closes. It holds at most one frame
// for it, whatever its line.
func (n *Node) serveFollow(from MemberID, c net.Conn) {
	defer c.Close()
	if n.enter() != nil {
		return
	}
	defer n.leave()
	defer context.AfterFunc(n.ctx, func() { c.Close() })()
	s := &feed{n: n, to: from, conn: patient{c, n.silence()}}
	if err := s.run(); err != nil && n.ctx.Err() == nil {
		n.cfg.Logger.Debug("follower lost", "peer", from, "error", err)
	}
}

// silence is how long a follower and its source wait for each other.
func (n *Node) silence() time.Duration { return 3 * max(followBeat, n.Timeout()) }

// feed is one follower as its source has it.
type feed struct {
	n    *Node
	to   MemberID
	conn patient
	// at is the last entry that was sent, and its term.
	at    position
	votes bool // the follower holds itself for a voter
	leave func()
}

func (s *feed) run() error {
	hello, refused := followHello{}, refusal(0)
	if err := readFrame(s.conn, &hello); err != nil {
		return err
	}
	if hello.Version != followVersion {
		refused = refusedRequest
	} else {
		refused = s.begin(hello)
	}
	if refused != 0 {
		return errors.Join(refused.err(), s.send(followFrame{Refusal: refused}))
	}
	defer s.leave()
	if err := s.send(s.greeting()); err != nil {
		return err
	}
	for s.n.ctx.Err() == nil {
		if err := s.one(hello); err != nil {
			return err
		}
	}
	return nil
}

// begin finds where to go on from: behind the last entry of the follower when that is committed here, else behind
// what the follower knows to be committed.
func (s *feed) begin(h followHello) refusal {
	if !s.n.mayServe(s.to) {
		return refusedRole
	}
	s.votes = h.Votes
	s.at = position{h.Commit, h.CommitTerm}
	commit := s.n.committed()
	if term, known := s.n.termAt(h.Commit); h.Commit <= commit && known && h.CommitTerm != 0 && term != h.CommitTerm {
		return refusedDiverged
	}
	if term, known := s.n.termAt(h.Last); h.Last <= commit && known && term == h.LastTerm {
		s.at = position{h.Last, h.LastTerm}
	}
	leave, ok := s.n.feeds.Admit(s.to, s.conn)
	if !ok {
		return refusedFull
	}
	s.leave = leave
	return 0
}

// greeting is the first frame.
func (s *feed) greeting() followFrame {
	return followFrame{Next: s.at.index, Configuration: s.configuration()}
}

// one sends what there is to send, or waits for it.
func (s *feed) one(h followHello) error {
	applied, changed := s.n.fsm.applied.wait(), s.n.leaderChanged()
	if !s.n.mayServe(s.to) {
		return errors.Join(errRole, s.send(followFrame{Refusal: refusedRole}))
	}
	if s.at.index < s.n.committed() {
		err := s.sendEntries()
		if !errors.Is(err, raft.ErrLogNotFound) {
			s.n.pause(s.n.ctx, followPace)
			return err
		}
		if sent, err := s.sendSnapshot(h); sent || err != nil {
			return err
		}
	}
	beat := time.NewTimer(followBeat)
	defer beat.Stop()
	select {
	case <-applied:
		return nil
	case <-changed:
	case <-beat.C:
	case <-s.n.ctx.Done():
		return nil
	}
	return s.send(followFrame{Configuration: s.configuration()})
}

// send completes a frame by how things stand and sends it.
func (s *feed) send(f followFrame) error {
	f.Commit, f.Path = s.n.committed(), s.n.path()
	f.Leader, _, _ = s.n.Leader()
	return writeFrameWithin(s.conn, maxFollowFrame, f)
}

// sendEntries sends the next frame of committed entries. raft.ErrLogNotFound means that the log begins later.
func (s *feed) sendEntries() error {
	f, last := &followEntries{First: s.at.index + 1}, position{}
	if term, known := s.n.termAt(s.at.index); known {
		f.PrevTerm = term
	}
	size, commit := 0, s.n.committed()
	for i := f.First; i <= commit && size < followBatch && len(f.Entries) < maxFollowEntries; i++ {
		var l raft.Log
		if err := s.n.logs.GetLog(i, &l); err != nil {
			return fmt.Errorf("read entry %d: %w", i, err)
		}
		f.Entries = append(f.Entries, toFollowEntry(&l))
		size, last = size+len(l.Data)+len(l.Extensions), position{i, l.Term}
	}
	if err := s.send(followFrame{Entries: f}); err != nil {
		return err
	}
	s.at = last
	return nil
}

// sendSnapshot sends the newest snapshot, from where the follower has it. It says false when too many are sent at the
// moment.
func (s *feed) sendSnapshot(h followHello) (sent bool, err error) {
	select {
	case s.n.snapshotsOut <- struct{}{}:
		defer func() { <-s.n.snapshotsOut }()
	default:
		return false, nil
	}
	meta, r, err := s.n.newestSnapshot()
	if err != nil {
		return false, err
	}
	defer r.Close()
	if meta.Index <= s.at.index {
		return false, fmt.Errorf("neither the log nor the snapshot of entry %d goes on behind entry %d", meta.Index, s.at.index)
	}
	head := &followSnapshot{
		ID: meta.ID, Size: meta.Size, Index: meta.Index, Term: meta.Term,
		Configuration: raft.EncodeConfiguration(meta.Configuration), ConfigurationIndex: meta.ConfigurationIndex,
	}
	if h.Snapshot == meta.ID && h.Offset < meta.Size {
		head.Offset = h.Offset
	}
	if err := s.send(followFrame{Snapshot: head}); err != nil {
		return true, err
	}
	if _, err := io.CopyN(io.Discard, r, head.Offset); err != nil {
		return true, fmt.Errorf("read snapshot %s: %w", meta.ID, err)
	}
	if err := s.sendPieces(r, meta.Size-head.Offset); err != nil {
		return true, err
	}
	s.at = position{meta.Index, meta.Term}
	return true, nil
}

func (s *feed) sendPieces(r io.Reader, left int64) error {
	return pieces(r, left, func(piece []byte) error { return s.send(followFrame{Piece: piece}) })
}

// pieces cuts what is left of a snapshot, as long as it goes fast enough.
func pieces(r io.Reader, left int64, send func([]byte) error) error {
	buf := make([]byte, followPiece)
	until := time.Now().Add(snapshotGrace + time.Duration(left/slowestSnapshot)*time.Second)
	for left > 0 {
		if time.Now().After(until) {
			return errSlow
		}
		piece := buf[:min(left, followPiece)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return fmt.Errorf("read snapshot: %w", err)
		}
		if err := send(piece); err != nil {
			return err
		}
		left -= int64(len(piece))
	}
	return nil
}

// configuration tells a follower that holds itself for a voter whether it is one. Only a committed configuration says so.
func (s *feed) configuration() *followConfiguration {
	if !s.votes {
		return nil
	}
	c := s.n.committedConfiguration()
	if c.index == 0 {
		return nil
	}
	return &followConfiguration{Index: c.index, Votes: c.servers[s.to]}
}

// termAt is the term of an entry, as long as the log or the newest snapshot tell.
func (n *Node) termAt(index uint64) (term uint64, known bool) {
	if index == 0 {
		return 0, true
	}
	var l raft.Log
	if err := n.logs.GetLog(index, &l); err == nil {
		return l.Term, true
	}
	metas, err := n.stores.Snapshots.List()
	if err != nil {
		return 0, false
	}
	for _, m := range metas {
		if m.Index == index {
			return m.Term, true
		}
	}
	return 0, false
}

func (n *Node) newestSnapshot() (*raft.SnapshotMeta, io.ReadCloser, error) {
	newest, err := n.newestMeta()
	if err != nil {
		return nil, nil, err
	}
	if newest == nil {
		return nil, nil, errors.New("the log does not begin at 1, and there is no snapshot")
	}
	return n.openSnapshot(newest.ID)
}

// newestMeta is that of the newest snapshot; nil when there is none.
func (n *Node) newestMeta() (*raft.SnapshotMeta, error) {
	metas, err := n.stores.Snapshots.List()
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	if len(metas) == 0 {
		return nil, nil
	}
	return metas[0], nil
}

func (n *Node) openSnapshot(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := n.stores.Snapshots.Open(id)
	if err != nil {
		return nil, nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	return meta, r, nil
}

// mayServe says whether this member may be the source of another: it must be trusted with the log itself, and the other
// must be a member.
func (n *Node) mayServe(to MemberID) bool {
	v := n.cfg.Store.View()
	_, server := n.servers()[n.cfg.ID]
	me, _ := v.Member(n.cfg.ID)
	_, member := v.Member(to)
	return member && (server || me.Eligible)
}

// path is how the log comes here: from a server of raft over others to this member, which is the last. It is empty
// while this member hears from nobody.
func (n *Node) path() []MemberID {
	if _, server := n.servers()[n.cfg.ID]; server {
		return []MemberID{n.cfg.ID}
	}
	up := n.upstream.Load()
	if up == nil || len(up.path) == 0 || time.Since(up.heard) > n.silence() {
		return nil
	}
	return append(slices.Clone(up.path), n.cfg.ID)
}

// leaderChanged returns a channel that closes when another leads.
func (n *Node) leaderChanged() <-chan struct{} {
	_, changed := n.offices.get()
	return changed
}
