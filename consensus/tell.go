package consensus

import (
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// The leader speaks to its followers beside raft's own replication, in raft's words: an AppendEntries without entries,
// on the control connection, so that it waits neither for a disk nor behind a piece of the log. It serves two ends:
//
//	tell      the commit index, as soon as there is a new one, up to what the follower is known to have
//	confirm   that a majority still follows: see confirm.go
//
// raft itself sends the same, with the same content, only later (CommitTimeout). The commit index is never above the
// last index that the follower acknowledged in this term, so it does not matter in which order messages arrive.

// tellers is how many such messages may be on their way to one follower.
const tellers = 4

// clock orders what a leader sent and what it was asked. Unlike time it never stands still.
type clock struct{ now atomic.Uint64 }

func (c *clock) tick() uint64 { return c.now.Add(1) }

// routineTell sends what the link should be told until the transport closes.
func (l *link) routineTell() {
	for {
		select {
		case <-l.told.kick:
			l.tell()
		case <-l.t.closing:
			return
		}
	}
}

// tell sends one message of the term that was asked for. An answer of a newer term is raft's to find out.
func (l *link) tell() {
	req := l.message()
	if req == nil {
		return
	}
	sent := l.t.clock.tick()
	var resp raft.AppendEntriesResponse
	if err := l.control.rpc.AppendEntries(raft.ServerID(l.peer), raft.ServerAddress(l.peer), req, &resp); err != nil {
		l.untold()
		return
	}
	if resp.Term == req.Term {
		l.answered(req, &resp, sent)
	}
}

// message is what to say: a new commit index, or only that we lead.
func (l *link) message() *raft.AppendEntriesRequest {
	l.progress.Lock()
	defer l.progress.Unlock()
	term, commit := l.told.term.Load(), l.told.commit.Load()
	if term == 0 {
		return nil
	}
	req := &raft.AppendEntriesRequest{RPCHeader: l.t.header(), Term: term}
	if p := &l.progress; p.term == term && min(commit, p.match) > p.told {
		p.told = min(commit, p.match)
		req.PrevLogEntry, req.PrevLogTerm, req.LeaderCommitIndex = p.match, p.matchTerm, p.told
	}
	return req
}

// untold says that a message may not have arrived.
func (l *link) untold() {
	l.progress.Lock()
	defer l.progress.Unlock()
	l.progress.told = 0
}

// tellSoon wakes a teller, unless one is about to start anyway.
func (l *link) tellSoon() {
	select {
	case l.told.kick <- struct{}{}:
	default:
	}
}

// announce has every peer told, soon, of the commit index of a term.
func (t *transport) announce(peers []MemberID, term, commit uint64) {
	for _, id := range peers {
		l, err := t.link(id)
		if err != nil {
			return
		}
		l.told.term.Store(term)
		l.told.commit.Store(commit)
		l.tellSoon()
	}
}

// lazily is how long the followers are left alone when none of them waits for a commit: the next entry would bring it
// as well.
const lazily = time.Millisecond

// nudges asks for nudges.
type nudges struct{ now, lazy chan struct{} }

func newNudges() nudges { return nudges{now: make(chan struct{}, 1), lazy: make(chan struct{}, 1)} }

// soon asks for one, and says whether it may wait for a moment.
func (s nudges) soon(lazy bool) {
	kick := s.now
	if lazy {
		kick = s.lazy
	}
	select {
	case kick <- struct{}{}:
	default:
	}
}

// routineNudge nudges until the node closes. A lazy nudge is left out when more is under way: its end asks again.
func (n *Node) routineNudge() {
	for n.ctx.Err() == nil {
		select {
		case <-n.nudges.now:
			n.nudge()
		case <-n.nudges.lazy:
			n.pause(n.ctx, lazily)
			if n.pending.Load() == 0 {
				n.nudge()
			}
		case <-n.ctx.Done():
		}
	}
}

// nudge tells the followers of what was just committed.
func (n *Node) nudge() {
	if o := n.leading(); o != nil && !n.cfg.Faults.NoNudge {
		n.transport.announce(n.peersOf(n.servers()), o.term, n.shownCommit())
	}
}

// shownCommit is the commit index as others may hear of it.
func (n *Node) shownCommit() uint64 { return min(n.raft.CommitIndex(), n.logs.onDisk()) }

// peersOf are the servers but this one.
func (n *Node) peersOf(servers map[MemberID]bool) (ids []MemberID) {
	for id := range servers {
		if id != n.cfg.ID {
			ids = append(ids, id)
		}
	}
	return ids
}
