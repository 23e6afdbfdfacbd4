package consensus

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/internal/fault"
)

// maxAppendBytes bounds the entries of one AppendEntries: raft bounds only their number, and 256 entries of 256 KiB
// in one piece would hold up everything behind it.
const maxAppendBytes = 1 << 20

var errTransportClosed = errors.New("raft transport is closed")

// admission decides whether a member may send us an RPC. It must not block.
type admission interface {
	// admitStream is asked for each raft stream that a peer opens, admit for each RPC on it.
	admitStream(from MemberID) error
	admit(from MemberID, command any) error
	// All below are asked of what was admitted.
	skipKnown(req *raft.AppendEntriesRequest)
	// install takes over a snapshot that is here whole, and returns raft's answer. It may block.
	install(from MemberID, req *raft.InstallSnapshotRequest, s spooled) (any, error)
	isOverdue() bool
	answerPreVote(req *raft.RequestPreVoteRequest) (*raft.RequestPreVoteResponse, bool)
}

// transport is the raft.Transport of a Node: for each peer a link of two raft.NetworkTransports, one a class, so
// that the sender of an RPC is known from the stream it came on. It hands raft only what admission lets through.
type transport struct {
	self     MemberID
	net      Network
	timing   Timing
	pace     *pace
	dir      string // where snapshots on their way in are kept; empty: memory
	guard    *guard // of that
	log      *slog.Logger
	admitted admission
	faults   fault.Set

	logs     *tail
	clock    clock
	answers  broadcast // sent at each answer of a follower
	consumer chan raft.RPC
	fed      turn // held while raft takes a snapshot, or what this member is fed: one must not undo the other
	closing  chan struct{}
	work     sync.WaitGroup

	mu struct {
		sync.Mutex
		closed    bool
		links     map[MemberID]*link
		heartbeat func(raft.RPC)
	}
}

func newTransport(cfg Config, disk *guard, pace *pace, logs *tail, admitted admission) *transport {
	t := &transport{
		self: cfg.ID, net: cfg.Network, timing: cfg.Timing, pace: pace, logs: logs, dir: cfg.Dir, guard: disk, log: cfg.Logger, admitted: admitted,
		faults: cfg.Faults, consumer: make(chan raft.RPC), fed: newTurn(), closing: make(chan struct{}),
	}
	t.mu.links = map[MemberID]*link{}
	t.net.Handle(kindRaftControl, t.accept(Control))
	t.net.Handle(kindRaftData, t.accept(Data))
	return t
}

// accept returns the handler of the raft streams of a class.
func (t *transport) accept(class Class) func(MemberID, net.Conn) {
	return func(from MemberID, c net.Conn) {
		if err := t.admitted.admitStream(from); err != nil {
			t.log.Debug("raft stream refused", "peer", from, "error", err)
			c.Close()
			return
		}
		l, err := t.link(from)
		if err != nil {
			c.Close()
			return
		}
		l.layer(class).serve(c)
	}
}

// link returns the link to a peer, made at first use. Links live as long as the transport: a peer that was removed
// costs its goroutines, all idle, until the next start.
func (t *transport) link(peer MemberID) (*link, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed {
		return nil, errTransportClosed
	}
	l := t.mu.links[peer]
	if l == nil {
		l = newLink(t, peer)
		t.mu.links[peer] = l
	}
	return l, nil
}

// contact is what the answers of a peer said since this node last came into office.
func (t *transport) contact(peer MemberID) contact {
	t.mu.Lock()
	l := t.mu.links[peer]
	t.mu.Unlock()
	if l == nil {
		return contact{}
	}
	return l.contact()
}

// forget drops what was learnt from answers in an earlier office.
func (t *transport) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.mu.links {
		l.forget()
	}
}

// Consumer returns the RPCs of all peers that were admitted.
func (t *transport) Consumer() <-chan raft.RPC { return t.consumer }

// header names this member.
func (t *transport) header() raft.RPCHeader { return headerOf(t.self) }

// LocalAddr is our own id.
func (t *transport) LocalAddr() raft.ServerAddress { return raft.ServerAddress(t.self) }

// EncodePeer and DecodePeer: an address is an id is its bytes.
func (t *transport) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }

// DecodePeer is the reverse of EncodePeer.
func (t *transport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler does nothing: heartbeats go through raft's main loop like every other RPC, because the fast
// path races with the leader's own writes (hashicorp/raft issue 695).
func (t *transport) SetHeartbeatHandler(fn func(raft.RPC)) {
	if !t.faults.HeartbeatFastPath {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.heartbeat = fn
}

// AppendEntriesPipeline is not offered: with one request in flight a stalled follower cannot wedge the pipeline, and
// batches carry the throughput.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries sends heartbeats and commit indexes as control, entries as data. It may send fewer entries than it
// was given: it shortens the request, from which raft then sees what the follower has.
func (t *transport) AppendEntries(_ raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	l, err := t.link(MemberID(to))
	if err != nil {
		return err
	}
	return l.appendEntries(req, resp)
}

// RequestVote asks a peer for its vote.
func (t *transport) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	l, err := t.link(MemberID(to))
	if err != nil {
		return err
	}
	return l.control.rpc.RequestVote(id, to, req, resp)
}

// RequestPreVote asks a peer whether it would vote for us.
func (t *transport) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	l, err := t.link(MemberID(to))
	if err != nil {
		return err
	}
	return l.control.rpc.RequestPreVote(id, to, req, resp)
}

// TimeoutNow tells a peer to stand for election at once.
func (t *transport) TimeoutNow(id raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	l, err := t.link(MemberID(to))
	if err != nil {
		return err
	}
	return l.control.rpc.TimeoutNow(id, to, req, resp)
}

// InstallSnapshot sends a snapshot as data.
func (t *transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	l, err := t.link(MemberID(to))
	if err != nil {
		return err
	}
	return l.installSnapshot(id, to, req, resp, data)
}

// Close closes every stream and waits until nothing of the transport runs any more. Safe to repeat.
func (t *transport) Close() error {
	t.sever()
	t.work.Wait()
	return nil
}

// sever is Close without the wait: nothing leaves or enters any more.
func (t *transport) sever() {
	t.mu.Lock()
	if t.mu.closed {
		t.mu.Unlock()
		return
	}
	t.mu.closed = true
	close(t.closing)
	links := make([]*link, 0, len(t.mu.links))
	for _, l := range t.mu.links {
		links = append(links, l)
	}
	t.mu.Unlock()
	for _, l := range links {
		l.close()
	}
}

// deliver hands an RPC to raft, if its sender is who it says it is and may send it.
func (t *transport) deliver(from MemberID, rpc raft.RPC) {
	err := t.admitRPC(from, rpc)
	if errors.Is(err, errStands) {
		rpc.Respond(&raft.TimeoutNowResponse{RPCHeader: t.header()}, nil)
		return
	}
	if err != nil {
		t.log.Debug("raft rpc refused", "peer", from, "error", err)
		rpc.Respond(nil, err)
		return
	}
	if t.faults.HeartbeatFastPath && isHeartbeat(rpc.Command) {
		t.mu.Lock()
		fn := t.mu.heartbeat
		t.mu.Unlock()
		fn(rpc)
		return
	}
	t.logs.flush() // an answer must not speak of an entry that we may yet lose
	switch req := rpc.Command.(type) {
	case *raft.InstallSnapshotRequest:
		t.goFunc(func() { t.deliverSnapshot(req, rpc) })
		return
	case *raft.AppendEntriesRequest:
		t.admitted.skipKnown(req)
	case *raft.RequestPreVoteRequest:
		if answer, ours := t.admitted.answerPreVote(req); ours {
			rpc.Respond(answer, nil)
			return
		}
	case *raft.RequestVoteRequest:
		if t.admitted.isOverdue() { // as when the leader hands over: the vote is not held back for its sake
			req.LeadershipTransfer = true
		}
	}
	t.hand(rpc)
}

func (t *transport) hand(rpc raft.RPC) {
	select {
	case t.consumer <- rpc:
	case <-t.closing:
		rpc.Respond(nil, errTransportClosed)
	}
}

func (t *transport) admitRPC(from MemberID, rpc raft.RPC) error {
	wh, ok := rpc.Command.(raft.WithRPCHeader)
	if !ok {
		return errNoHeader
	}
	h := wh.GetRPCHeader()
	if t.faults.AdmitAll {
		return nil
	}
	if MemberID(h.ID) != from || MemberID(h.Addr) != from {
		return &impostorError{from: from, claims: MemberID(h.ID)}
	}
	return t.admitted.admit(from, rpc.Command)
}

func (t *transport) goFunc(f func()) {
	t.work.Add(1)
	go func() {
		defer t.work.Done()
		f()
	}()
}

func isHeartbeat(command any) bool {
	a, ok := command.(*raft.AppendEntriesRequest)
	return ok && a.PrevLogEntry == 0 && a.LeaderCommitIndex == 0 && len(a.Entries) == 0
}
