package consensus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// A planned change of leader. raft stops, waits until the successor has everything, and only then tells it to stand; those
// who write hear of the new leader from its first entry, a round trip after it was elected. At a distance each of these is
// waiting, so beside raft's transfer:
//
//	the leader sends what the successor may lack along with the call to stand    (call, kind "stand")
//	it and whoever asks it go to the successor at once, which keeps them waiting    (heir, awaitOffice)
//	the first request of an office waits for what these want to write    (link.gather)
//
// None of it is needed: raft goes on by itself, and what came early is refused or there already. Votes and entries are
// judged by raft as ever.
//
//	call     {1: version, 2: term, 3: entries, as in followframe.go}
//	answer   {1: true when it stands}
//
// History: version 1, the first.

type standCall struct {
	Version uint           `cbor:"1,keyasint"`
	Term    uint64         `cbor:"2,keyasint"`
	Entries *followEntries `cbor:"3,keyasint,omitempty"`
}

type standAnswer struct {
	Stands bool `cbor:"1,keyasint,omitempty"`
}

// heir is who is about to lead, as far as this member knows; until then it asks it instead of the leader.
type heir struct {
	sync.Mutex
	id    MemberID
	by    MemberID // this member's leader, if that has called it
	until time.Time
}

func (h *heir) set(id, by MemberID, until time.Time) {
	h.Lock()
	defer h.Unlock()
	h.id, h.by, h.until = id, by, until
}

// forget ends it.
func (h *heir) forget() { h.set("", "", time.Time{}) }

func (h *heir) calledBy(leader MemberID) bool {
	h.Lock()
	defer h.Unlock()
	return h.by == leader
}

// get is empty when nobody is about to.
func (h *heir) get() MemberID {
	h.Lock()
	defer h.Unlock()
	if time.Now().After(h.until) {
		return ""
	}
	return h.id
}

// successor is another member that is about to lead; false when there is none.
func (n *Node) successor() (MemberID, bool) {
	id := n.heir.get()
	return id, id != "" && id != n.cfg.ID
}

// expect has this member take what it has to write to another than its leader, for a timeout or until there is a new one.
func (n *Node) expect(id, by MemberID) {
	n.heir.set(id, by, time.Now().Add(n.pace.get()))
	n.offices.signal()
}

// leaderToAsk is the leader, or who is about to be.
func (n *Node) leaderToAsk() (MemberID, bool) {
	if id, ok := n.successor(); ok {
		return id, true
	}
	leader, _, ok := n.Leader()
	return leader, ok && leader != n.cfg.ID
}

// awaitOffice waits for this member's election if it was called to stand.
func (n *Node) awaitOffice() *office {
	for {
		_, changed := n.offices.get()
		if o := n.appending(); o != nil || n.heir.get() != n.cfg.ID {
			return o
		}
		t := time.NewTimer(n.cfg.Timing.RetryMin)
		select {
		case <-changed:
		case <-t.C:
		case <-n.ctx.Done():
		}
		t.Stop()
		if n.ctx.Err() != nil {
			return nil
		}
	}
}

// furthest is the voter that has most of our log, of those in contact.
func (n *Node) furthest() (id MemberID, ok bool) {
	o, _ := n.offices.get()
	best := uint64(0)
	for peer, votes := range n.servers() {
		if !votes || peer == n.cfg.ID || o == nil || !n.heardFrom(o, peer) {
			continue
		}
		match := n.transport.contact(peer).match
		if match > best || match == best && ok && peer < id {
			id, best, ok = peer, match, true
		}
	}
	return id, ok
}

// handOver is raft's transfer, and what makes it quicker. This node appends nothing any more until it has failed.
func (n *Node) handOver(ctx context.Context, id MemberID) error {
	n.handing.Lock()
	defer n.handing.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("transfer leadership: %w", err)
	}
	n.dispatching.Lock() // what has been let through is appended before
	n.expect(id, "")
	n.dispatching.Unlock()
	f := n.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id))
	calling, cancel := context.WithCancel(n.ctx)
	defer cancel() // a transfer that has failed must not go on by this
	n.goFunc(func() {
		if err := n.call(calling, id); err != nil {
			n.cfg.Logger.Debug("successor not called", "peer", id, "error", err)
		}
	})
	err := n.transferred(f)
	if err != nil {
		n.heir.forget()
	}
	return err
}

// call sends the successor what it may lack, and has it stand for election.
func (n *Node) call(ctx context.Context, id MemberID) error {
	ctx, cancel := context.WithTimeout(ctx, n.pace.get())
	defer cancel()
	if err := n.mainLoop(); err != nil { // what this node appended is in raft's log now
		return err
	}
	c := standCall{Version: frameVersion, Term: n.raft.CurrentTerm()}
	if err := n.lacking(id, &c); err != nil {
		return err
	}
	conn, err := n.cfg.Network.Open(ctx, id, Control, kindStand)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := writeFrameWithin(conn, maxFollowFrame, c); err != nil {
		return err
	}
	var a standAnswer
	if err := readFrame(conn, &a); err != nil || a.Stands {
		return err
	}
	return errors.New("it does not stand")
}

// entryWrapping is more than what an entry takes in a frame beside its data.
const entryWrapping = 64

// lacking are the entries that a follower has not confirmed, if they fit into a request.
func (n *Node) lacking(id MemberID, c *standCall) error {
	have, last, size := n.transport.contact(id), n.raft.LastIndex(), 0
	if have.match == 0 || have.term != c.Term || last-have.match > maxAppendEntries {
		return fmt.Errorf("it has entry %d of %d", have.match, last)
	}
	if last == have.match {
		return nil
	}
	c.Entries = &followEntries{First: have.match + 1, PrevTerm: have.matchTerm}
	for i := have.match + 1; i <= last; i++ {
		var l raft.Log
		if err := n.logs.GetLog(i, &l); err != nil {
			return err
		}
		if size += len(l.Data) + len(l.Extensions) + entryWrapping; size > maxFollowFrame-entryWrapping {
			return fmt.Errorf("it lacks more than %d bytes", maxFollowFrame)
		}
		c.Entries.Entries = append(c.Entries.Entries, toFollowEntry(&l))
	}
	if n.raft.CurrentTerm() != c.Term {
		return errNotLeading // another leader may have rewritten the log: what was read does not go on from what the follower has
	}
	return nil
}

// serveStand has this voter stand for election because its leader says so.
func (n *Node) serveStand(from MemberID, c net.Conn) {
	n.serve(c, func() error {
		var call standCall
		if err := readFrameWithin(c, maxFollowFrame, &call); err != nil {
			return err
		}
		err := n.stand(from, call)
		if err != nil {
			n.cfg.Logger.Info("call to stand refused", "peer", from, "error", err)
		}
		return writeFrame(c, standAnswer{Stands: err == nil})
	})
}

func (n *Node) stand(from MemberID, call standCall) error {
	request := &raft.TimeoutNowRequest{RPCHeader: headerOf(from)}
	if err := n.admit(from, request); err != nil {
		return err
	}
	if call.Version != frameVersion || call.Term != n.raft.CurrentTerm() {
		return errMalformed
	}
	n.transport.logs.flush()
	if call.Entries != nil {
		if err := n.takeLast(from, call); err != nil {
			return err
		}
	}
	n.expect(n.cfg.ID, from)
	_, err := n.ask(raft.RPC{Command: request})
	return err
}

// takeLast appends what the leader has just sent.
func (n *Node) takeLast(from MemberID, call standCall) error {
	prev := position{call.Entries.First - 1, call.Entries.PrevTerm}
	logs, err := call.Entries.logs(prev)
	if err != nil {
		return err
	}
	req := &raft.AppendEntriesRequest{RPCHeader: headerOf(from), Term: call.Term, PrevLogEntry: prev.index, PrevLogTerm: prev.term, Entries: logs}
	n.skipKnown(req)
	a, err := n.ask(raft.RPC{Command: req})
	if err != nil {
		return err
	}
	if resp, ok := a.(*raft.AppendEntriesResponse); !ok || !resp.Success {
		return fmt.Errorf("our log does not go on behind entry %d", prev.index)
	}
	return nil
}
