package consensus

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Left to itself, raft looks at its leader's silence when a timer of one to two timeouts fires, and draws another when the
// silence is shorter than one: it stands for election 1.8 timeouts after the last word on average. Nobody votes that has
// not given the leader up by itself, so what counts is the second of two such timers; and those that stand at the same time
// take each other's votes, and begin anew.
//
// So the voters take turns, in the order of their ids. Until its turn a voter's raft is held to a longer timeout; that it is
// lowered then has raft look at once. Whoever has not heard the leader for a timeout does not hold back its vote, whatever
// its own turn is. All else is raft's: terms, logs, votes on the disk, and its timers, should the turns pass without effect.
//
// A leader speaks to each voter at least every two fifths of a timeout (a round trip after it spoke last, and a tenth to a
// fifth of the timeout), and not to all at once. The first waits that much longer than the timeout, so that those it asks
// have waited for one too; and what is between two turns is that and half a round trip.

// standsAfter is how long the voter whose turn it is waits for its leader; turns count from 0.
func standsAfter(timeout time.Duration, turn int) time.Duration {
	return timeout + timeout*2/5 + time.Duration(turn)*timeout/2
}

// turnOf is the place of a voter among those that may follow on a leader; false when it does not vote.
func turnOf(servers map[MemberID]bool, leader, self MemberID) (turn int, votes bool) {
	var voters []MemberID
	for id, v := range servers {
		if v && id != leader {
			voters = append(voters, id)
		}
	}
	slices.Sort(voters)
	return slices.BinarySearch(voters, self)
}

// routineStand has this voter stand for election when its turn comes.
func (n *Node) routineStand() {
	stood := time.Now() // or began
	for n.ctx.Err() == nil {
		now := time.Now()
		due, votes := n.turn(stood)
		n.hold(votes && now.Before(due) && n.raft.State() == raft.Follower)
		if wait := due.Sub(now); votes && wait > 0 {
			n.pause(n.ctx, min(wait, n.pace.get())) // what it waits for may change
			continue
		}
		stood = now
		n.pause(n.ctx, n.pace.get())
	}
}

// turn is when this voter is to stand, had it last stood at that time; false when it leads or does not vote.
func (n *Node) turn(stood time.Time) (due time.Time, votes bool) {
	leader, _, _ := n.Leader()
	turn, votes := turnOf(n.servers(), leader, n.cfg.ID)
	due = n.raft.LastContact()
	if stood.After(due) {
		due = stood
	}
	timeout := n.pace.get()
	due = due.Add(standsAfter(timeout, turn))
	if asked := n.asked.Load(); asked != nil && asked.Add(timeout/2).After(due) {
		due = asked.Add(timeout / 2) // who asked is about to be elected, or not
	}
	return due, votes && leader != n.cfg.ID
}

// isOverdue says that this member follows a leader from which it has heard nothing for a timeout: neither has raft, nor is
// there a word that raft, waiting for its disk, has not taken yet.
func (n *Node) isOverdue() bool {
	_, _, known := n.Leader()
	silent := func(since time.Time) bool { return time.Since(since) >= n.pace.get() }
	return known && n.raft.State() == raft.Follower && silent(n.raft.LastContact()) && silent(*n.heard.Load())
}

// answerPreVote answers as raft does, but for the leader that raft still knows; false leaves the answer to raft. Nothing
// depends on such an answer but whether it is worth asking for the vote.
func (n *Node) answerPreVote(req *raft.RequestPreVoteRequest) (*raft.RequestPreVoteResponse, bool) {
	if !n.isOverdue() {
		return nil, false
	}
	term, last := n.raft.CurrentTerm(), n.lastEntry()
	upToDate := req.LastLogTerm > last.term || req.LastLogTerm == last.term && req.LastLogIndex >= last.index
	answer := &raft.RequestPreVoteResponse{RPCHeader: n.transport.header(), Term: max(term, req.Term), Granted: req.Term >= term && upToDate}
	if answer.Granted {
		now := time.Now()
		n.asked.Store(&now)
	}
	return answer, true
}
