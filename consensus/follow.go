package consensus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Whoever is not in raft's configuration is fed: it keeps a raft.Raft like everyone, which nobody of raft speaks to, and
// a feeder that hands this raft what a source sends, as the AppendEntries and InstallSnapshot of a leader. So log,
// snapshots, Record, and the way to becoming a voter and back are the same for all members.
//
// Only committed entries travel. What they replace in the local log, a former voter's tail, was never committed.
// The feeder passes by admission: the source is of its own choosing, and speaks no raft.
//
//	idle --(not in raft, or not heard from a leader)--> choosing --(a source greets)--> fed
//	fed --(in raft and spoken to | the source is silent, lost or worse than another)--> idle or choosing

const (
	// rechoose is how long a member stays, at least, with a source that is not the best it knows.
	rechoose = time.Minute
	// leaderless is how many silences a source may be without a leader before another one is tried. It doubles with
	// each source that knows none, up to mostVain times and longestVain: then it is not the source, but may be again.
	leaderless  = 2
	mostVain    = 4
	longestVain = 15 * time.Second
	// strangers is how many of all other sources are tried in a round in which the usual ones were no good.
	strangers = 3
)

var (
	errNotFed = errors.New("this member is in raft")
	errLost   = errors.New("the source hears from nobody")
	errCircle = errors.New("the source follows us, or too many others")
	errVotes  = errors.New("this member is a voter, and missed nothing that it needs to hear its leader")
	errBetter = errors.New("another source may be better")
)

// upstream is where a follower takes the log from, as its source said last.
type upstream struct {
	source MemberID
	path   []MemberID // ends with the source; empty: it hears from nobody
	leader MemberID
	heard  time.Time
}

// routineFollow feeds this member whenever nobody of raft does.
func (n *Node) routineFollow() {
	f := &feeder{n: n, stay: rechoose}
	defer f.drop()
	for n.ctx.Err() == nil {
		if n.mustFollow() {
			f.round()
		} else {
			f.drop()
			n.pause(n.ctx, n.Timeout()/2)
		}
	}
}

// mustFollow says whether this member needs a source: it is not in raft, or in raft and no leader speaks to it.
func (n *Node) mustFollow() bool {
	if n.raft.State() == raft.Leader || n.removed() {
		return false
	}
	if _, server := n.servers()[n.cfg.ID]; !server {
		return true
	}
	return time.Since(*n.heard.Load()) > 3*n.Timeout()
}

// hear notes that a leader speaks raft to this member. The time is kept whole, with its monotonic part: a wall clock that
// jumps must not look like silence, nor hide it.
func (n *Node) hear() {
	now := time.Now()
	n.heard.Store(&now)
}

// feeder is the following side. It is for one goroutine.
type feeder struct {
	n       *Node
	partial *partial // snapshot on its way in
	// stay is how long to stay with a source that is not the best: longer each time the best is no good.
	stay time.Duration
	// vain counts the sources that knew no leader, since one did.
	vain int
}

// round follows one source after the other, the best first, until all were tried or it is better to look again.
func (f *feeder) round() {
	n := f.n
	for _, source := range n.everySource() {
		err := f.insist(source)
		if n.ctx.Err() != nil || errors.Is(err, errNotFed) || errors.Is(err, errBetter) {
			return
		}
	}
	n.pause(n.ctx, n.cfg.Timing.RetryMax/2+rand.N(n.cfg.Timing.RetryMax))
}

// insist follows one source, and again as long as each stream brought a snapshot forward: another source would begin it
// anew.
func (f *feeder) insist(source MemberID) error {
	n := f.n
	for {
		_, had := f.offer(source)
		err := f.follow(source)
		n.upstream.Store(nil)
		n.cfg.Logger.Debug("source left", "source", source, "error", err)
		if _, has := f.offer(source); has <= had || n.ctx.Err() != nil || errors.Is(err, errNotFed) {
			return err
		}
	}
}

// sources are those whom this member may follow, best first: by what the store says of members, or while it says
// nothing, whom we heard of when we joined.
func (n *Node) sources() []MemberID {
	s := n.surroundings()
	if len(s.members) == 0 {
		return slices.DeleteFunc(n.cfg.Seeds(), func(id MemberID) bool { return id == n.cfg.ID })
	}
	return s.sources()
}

// everySource is sources, and behind them a few of all others that may serve, other ones each time: what the store says
// here may be so old that none of the usual sources is left.
func (n *Node) everySource() []MemberID {
	usual := n.sources()
	others := n.surroundings().others(usual)
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append(usual, others[:min(strangers, len(others))]...)
}

func (n *Node) surroundings() surroundings {
	return surroundings{self: n.cfg.ID, members: n.cfg.Store.View().Members(), servers: n.servers(), rtt: n.cfg.RTT}
}

// follow takes the log from one source until it must not, or the source is no good.
func (f *feeder) follow(source MemberID) error {
	n := f.n
	ctx, cancel := context.WithCancel(n.ctx)
	defer cancel()
	dial, stop := context.WithTimeout(ctx, n.cfg.Timing.ControlRPC)
	defer stop()
	conn, err := n.cfg.Network.Open(dial, source, Data, kindFollow)
	if err != nil {
		return fmt.Errorf("reach %q: %w", source, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	m := &meal{f: f, source: source, conn: patient{conn, n.silence()}}
	if err := m.greet(); err != nil {
		return err
	}
	n.cfg.Logger.Info("follow the log", "source", source, "path", m.path, "after", m.at.index)
	soothed := make(chan struct{})
	go func() { defer close(soothed); m.routineSoothe(ctx) }()
	defer func() { cancel(); <-soothed }()
	for {
		var frame followFrame
		if err := readFrameWithin(m.conn, maxFollowFrame, &frame); err != nil {
			return err
		}
		if err := m.take(&frame); err != nil {
			return err
		}
	}
}

// meal is one stream from a source.
type meal struct {
	f      *feeder
	source MemberID
	conn   patient
	since  time.Time
	path   []MemberID
	// at is the last entry that is surely the same here and at the source.
	at position
	// led is when the source last knew a leader.
	led time.Time
	// configured is the index of the newest configuration that the source said to be committed.
	configured uint64
}

// greet says where we stand and hears where the source goes on.
func (m *meal) greet() error {
	n := m.f.n
	hello := followHello{Version: followVersion, Last: n.raft.LastIndex(), Commit: n.committed(), Votes: n.votes()}
	hello.LastTerm, _ = n.termAt(hello.Last)
	hello.CommitTerm, _ = n.termAt(hello.Commit)
	hello.Snapshot, hello.Offset = m.f.offer(m.source)
	if err := writeFrame(m.conn, hello); err != nil {
		return err
	}
	var first followFrame
	if err := readFrameWithin(m.conn, maxFollowFrame, &first); err != nil {
		return err
	}
	if err := first.Refusal.err(); err != nil {
		return err
	}
	switch first.Next {
	case hello.Last:
		m.at = position{hello.Last, hello.LastTerm}
	case hello.Commit:
		m.at = position{hello.Commit, hello.CommitTerm}
	default:
		return fmt.Errorf("%w: the source goes on behind %d", errMalformed, first.Next)
	}
	m.since, m.led = time.Now(), time.Now()
	return m.note(&first)
}

// take uses one frame.
func (m *meal) take(frame *followFrame) error {
	if err := frame.Refusal.err(); err != nil {
		return err
	}
	if err := m.note(frame); err != nil {
		return err
	}
	n := m.f.n
	switch {
	case frame.Entries != nil:
		logs, err := frame.Entries.logs(m.at)
		if err != nil {
			return err
		}
		prev := m.at
		if t := frame.Entries.PrevTerm; t != 0 || prev.index == 0 {
			prev.term = t
		}
		last := position{logs[len(logs)-1].Index, logs[len(logs)-1].Term}
		if err := n.inject(prev, logs, min(frame.Commit, last.index), frame.Leader); err != nil {
			return err
		}
		m.at = last
		return nil
	case frame.Snapshot != nil:
		return m.f.receive(m.source, frame.Snapshot)
	case frame.Piece != nil:
		return m.piece(frame)
	}
	return n.inject(position{}, nil, min(frame.Commit, m.at.index), frame.Leader)
}

func (m *meal) piece(frame *followFrame) error {
	at, err := m.f.add(m.source, frame.Piece, frame.Leader)
	if err == nil && at.index != 0 {
		m.at = at
	}
	return err
}

// note takes what every frame says, and whether to stay.
func (m *meal) note(frame *followFrame) error {
	n := m.f.n
	now := time.Now()
	if slices.Contains(frame.Path, n.cfg.ID) || len(frame.Path) > maxPath {
		return errCircle
	}
	if !n.mustFollow() {
		return errNotFed
	}
	if frame.Configuration != nil {
		m.configured = frame.Configuration.Index
	}
	if n.votes() && !m.missed() {
		return errVotes
	}
	m.path = frame.Path
	if frame.Leader != "" && len(frame.Path) > 0 {
		m.led, m.f.vain = now, 0
	}
	n.upstream.Store(&upstream{source: m.source, path: frame.Path, leader: frame.Leader, heard: now})
	if now.Sub(m.led) > m.patience() {
		m.f.vain++
		return errLost
	}
	return m.reconsider(now)
}

// missed says whether this member, a voter, needs what the source has: a configuration that was committed and is not known
// to be here. By it the member may vote no longer, or its leader may lead, and what made that a member came before it. Of
// all else it is to hear from a leader, or to help elect one: while it is fed it does neither. That a source names a leader
// which may not lead is no reason: voters that feed each other would name it for ever.
func (m *meal) missed() bool { return m.configured > m.f.n.committed() }

// patience is how long a source may go without a leader.
func (m *meal) patience() time.Duration {
	least := m.f.n.silence()
	if len(m.path) == 0 {
		return least
	}
	return min(leaderless*least<<min(m.f.vain, mostVain), max(longestVain, leaderless*least))
}

// reconsider looks once in a while whether another source is better, by the members and servers as they are now.
func (m *meal) reconsider(now time.Time) error {
	f := m.f
	if now.Sub(m.since) < f.stay {
		return nil
	}
	m.since = now
	if all := f.n.sources(); len(all) == 0 || all[0] == m.source {
		f.stay = rechoose
		return nil
	}
	f.stay = min(2*f.stay, 16*rechoose)
	return errBetter
}

// routineSoothe lets the local raft hear its leader as often as it wants to, while the source is heard.
func (m *meal) routineSoothe(ctx context.Context) {
	n := m.f.n
	for ctx.Err() == nil {
		n.pause(ctx, n.Timeout()/3)
		up := n.upstream.Load()
		if ctx.Err() != nil || up == nil || up.source != m.source || time.Since(up.heard) > n.silence() {
			continue
		}
		if n.inject(position{}, nil, 0, up.leader) != nil {
			return
		}
	}
}

// inject hands entries to the local raft as their leader would. The term is no higher than it must be: one that is
// higher than the leader's would unseat it as soon as it speaks to us.
func (n *Node) inject(prev position, entries []*raft.Log, commit uint64, leader MemberID) error {
	if !n.mayFeed() {
		return errNotFed
	}
	req := &raft.AppendEntriesRequest{
		RPCHeader:    headerOf(leader),
		PrevLogEntry: prev.index, PrevLogTerm: prev.term, Entries: entries, LeaderCommitIndex: commit,
	}
	n.transport.fed.Lock()
	defer n.transport.fed.Unlock()
	n.skipKnown(req)
	for range 3 {
		req.Term = n.raft.CurrentTerm()
		if len(entries) > 0 {
			req.Term = max(req.Term, entries[len(entries)-1].Term)
		}
		a, err := n.ask(raft.RPC{Command: req})
		if err != nil {
			return err
		}
		resp, ok := a.(*raft.AppendEntriesResponse)
		if !ok || resp.Success {
			return nil
		}
		if resp.Term <= req.Term {
			return fmt.Errorf("%w: our log does not go on behind entry %d of term %d", errDiverged, prev.index, prev.term)
		}
	}
	return fmt.Errorf("term %d rises all the time", req.Term)
}

// mayFeed refuses to feed a leader or a candidate that may become one, whatever was decided before.
func (n *Node) mayFeed() bool {
	return n.raft.State() != raft.Leader
}

// votes says whether this member is a voter, as far as it knows.
func (n *Node) votes() bool { return n.servers()[n.cfg.ID] }

func headerOf(id MemberID) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(id)}
}

// ask hands an RPC to the local raft and waits for the answer. Who feeds it holds transport.fed.
func (n *Node) ask(rpc raft.RPC) (any, error) {
	answer := make(chan raft.RPCResponse, 1)
	rpc.RespChan = answer
	n.transport.hand(rpc)
	select {
	case a := <-answer:
		return a.Response, a.Error
	case <-n.transport.closing:
		return nil, errTransportClosed
	case <-n.guard.broken:
		return nil, n.guard.err()
	}
}
