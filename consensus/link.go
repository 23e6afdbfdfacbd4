package consensus

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// link is what the transport has for one peer: two raft.NetworkTransports, and what it learnt from the answers.
type link struct {
	t       *transport
	peer    MemberID
	control channel
	data    channel

	progress struct {
		sync.Mutex
		contact
		told uint64 // the highest commit index that the peer was told of
	}
	// told is what the peer should hear, now: see tell.go.
	told struct {
		term, commit atomic.Uint64
		kick         chan struct{}
	}
}

// contact is what a leader knows of a follower from the answers to its AppendEntries.
type contact struct {
	// heard is when the last answer came; since is when the run of answers without a gap that it ends began.
	heard, since time.Time
	// term is that of the newest answer. In it the follower is known to have everything up to match, an entry of
	// matchTerm; and asked is when, by the clock, the latest thing was sent that it answered.
	term, match, matchTerm, asked uint64
}

// channel is one raft.NetworkTransport and the streams it uses.
type channel struct {
	streams *streams
	rpc     *raft.NetworkTransport
}

func newLink(t *transport, peer MemberID) *link {
	l := &link{t: t, peer: peer}
	l.control = l.channel(Control, kindRaftControl, t.timing.ControlRPC)
	l.data = l.channel(Data, kindRaftData, t.timing.DataRPC)
	t.goFunc(func() { l.routinePump(l.control.rpc) })
	t.goFunc(func() { l.routinePump(l.data.rpc) })
	l.told.kick = make(chan struct{}, 1)
	for range tellers {
		t.goFunc(l.routineTell)
	}
	return l
}

func (l *link) channel(class Class, kind string, timeout time.Duration) channel {
	s := newStreams(l.t.net, l.peer, class, kind)
	rpc := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: timeout, Logger: raftLogger(l.t.log, "raft-net"),
	})
	return channel{streams: s, rpc: rpc}
}

func (l *link) layer(class Class) *streams {
	if class == Data {
		return l.data.streams
	}
	return l.control.streams
}

// routinePump hands on what the peer sends, one at a time a class.
func (l *link) routinePump(rpc *raft.NetworkTransport) {
	for {
		select {
		case r := <-rpc.Consumer():
			l.t.deliver(l.peer, r)
		case <-l.t.closing:
			return
		}
	}
}

func (l *link) appendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	l.gather(req)
	trim(req)
	req.LeaderCommitIndex = min(req.LeaderCommitIndex, l.t.logs.onDisk(), lastOf(req))
	ch := l.control
	if len(req.Entries) > 0 {
		ch = l.data
	}
	sent := l.t.clock.tick()
	err := ch.rpc.AppendEntries(raft.ServerID(l.peer), raft.ServerAddress(l.peer), req, resp)
	if err == nil && resp.Term == req.Term {
		l.answered(req, resp, sent)
	}
	return err
}

func (l *link) installSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	sent := l.t.clock.tick()
	err := l.data.rpc.InstallSnapshot(id, to, req, resp, data)
	if err == nil && resp.Success && resp.Term == req.Term {
		l.note(req.Term, sent, req.LastLogIndex, req.LastLogTerm)
	}
	return err
}

// gathering is how long the first request of an office waits for more: those who write learn of the election at the same
// time as the entry that opens it is sent, and a follower takes one request at a time.
const gathering = 2 * time.Millisecond

// gather adds to the first request of an office what was appended since raft made it. raft sees in the request what was
// sent.
func (l *link) gather(req *raft.AppendEntriesRequest) {
	if len(req.Entries) == 0 || l.contact().term >= req.Term {
		return
	}
	wait := time.NewTimer(gathering)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-l.t.closing:
	}
	entries := slices.Clip(req.Entries)
	for len(entries) < maxAppendEntries {
		next := l.t.logs.get(entries[len(entries)-1].Index + 1)
		if next == nil || next.Term != req.Term {
			break
		}
		entries = append(entries, next)
	}
	req.Entries = entries
}

// answered notes an answer of the request's own term to what was sent at a time of the clock.
func (l *link) answered(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse, sent uint64) {
	match, matchTerm := matched(req, resp)
	l.note(req.Term, sent, match, matchTerm)
	l.t.answers.send()
}

// note keeps what an answer says. A pause of more than an election timeout starts a new run; a new term knows nothing yet of
// what the follower has; an answer of an older term says nothing any more.
func (l *link) note(term, sent, match, matchTerm uint64) {
	now := time.Now()
	p := &l.progress
	p.Lock()
	defer p.Unlock()
	switch {
	case term < p.term:
		return
	case term > p.term:
		p.term, p.match, p.matchTerm, p.asked, p.told = term, 0, 0, 0, 0
	}
	if now.Sub(p.heard) > l.t.pace.get() {
		p.since = now
	}
	p.heard = now
	p.asked = max(p.asked, sent)
	if match <= p.match {
		return
	}
	p.match, p.matchTerm = match, matchTerm
	if term == l.told.term.Load() && min(l.told.commit.Load(), match) > p.told {
		l.tellSoon() // it had not been able to hear of that commit
	}
}

func (l *link) contact() contact {
	l.progress.Lock()
	defer l.progress.Unlock()
	return l.progress.contact
}

// forget drops what was learnt in an earlier term of office.
func (l *link) forget() {
	l.progress.Lock()
	defer l.progress.Unlock()
	l.progress.contact, l.progress.told = contact{}, 0
}

func (l *link) close() {
	for _, ch := range []channel{l.control, l.data} {
		ch.streams.Close()
		ch.rpc.CloseStreams()
		ch.rpc.Close()
	}
}

// trim shortens a request to maxAppendBytes, but never to nothing.
func trim(req *raft.AppendEntriesRequest) {
	size := 0
	for i, e := range req.Entries {
		size += len(e.Data)
		if size > maxAppendBytes && i > 0 {
			req.Entries = req.Entries[:i]
			return
		}
	}
}

// lastOf is the last entry that a follower is sure to share once it accepted the request. What it has beyond may be of
// an earlier leader, so it must not hear of more that is committed.
func lastOf(req *raft.AppendEntriesRequest) uint64 {
	if n := len(req.Entries); n > 0 {
		return req.Entries[n-1].Index
	}
	return req.PrevLogEntry
}

// matched is the last entry that a follower has after it accepted the request; 0 when it says nothing about that.
func matched(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (index, term uint64) {
	if !resp.Success {
		return 0, 0
	}
	if n := len(req.Entries); n > 0 {
		return lastOf(req), req.Entries[n-1].Term
	}
	return lastOf(req), req.PrevLogTerm
}

// impostorError means that a member sent an RPC in another's name.
type impostorError struct{ from, claims MemberID }

func (e *impostorError) Error() string {
	return fmt.Sprintf("member %q speaks as %q", e.from, e.claims)
}
