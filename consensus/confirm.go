package consensus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// A linearizable read needs no entry in the log. The leader of a term T, which has applied an entry of T (establish),
//
//  1. takes its commit index: everything acknowledged anywhere so far is at or below it, if T is still the newest term
//     with a leader;
//  2. sends to the voters, and waits until a majority, itself included, has answered in T to something that was sent
//     after the reader came. A leader of a later term was elected by a majority, and one of those voters answered us
//     before it voted: so that leader did not lead yet when the reader came, and acknowledged nothing before;
//  3. makes sure that it is still in T itself, and waits until its store has applied the commit index of step 1.
//
// raft's VerifyLeader differs in the two points that make it unsafe: it takes answers to what was sent before the reader
// came, and it counts members that do not vote.

// readers is how many rounds may be under way at once: a reader waits for the next one to start, not for one to end.
const readers = 3

var errNotConfirmed = errors.New("too few have answered in time")

// readIndex is one round on the leader.
func (n *Node) readIndex() (store.Revision, error) {
	o := n.leading()
	if o == nil {
		return 0, errNotLeading
	}
	if n.cfg.Faults.VerifyLeader {
		return n.cfg.Store.View().Revision(), n.await(n.raft.VerifyLeader())
	}
	commit := n.raft.CommitIndex()
	if err := n.confirm(o); err != nil {
		return 0, err
	}
	if n.raft.CurrentTerm() != o.term || n.leading() != o {
		return 0, errNotLeading
	}
	if err := n.waitApplied(o.ctx, commit); err != nil {
		return 0, err
	}
	return n.cfg.Store.View().Revision(), n.fsm.stopped()
}

// confirm returns once a majority of the voters has answered, in the office's term, to what was sent after this call.
func (n *Node) confirm(o *office) error {
	servers := n.servers()
	err := n.hearAfresh(o, n.pace.get(), n.peersOf(servers), func(begun uint64) bool { return n.confirmedSince(servers, o.term, begun) })
	if errors.Is(err, errNotConfirmed) {
		return fmt.Errorf("%w: %w", errNotLeading, err)
	}
	return err
}

// decidable returns once it is known that those who would vote after a change could decide, and that who gets a vote is there:
// they answered to what was sent after this call. Contact is of a moment ago. They may be farther than the timeout, which goes by
// those who vote already.
func (n *Node) decidable(o *office, ch change) error {
	next := maps.Clone(n.servers())
	next[ch.id] = ch.action == changePromote
	return n.hearAfresh(o, max(n.pace.get(), n.cfg.Timing.ControlRPC), n.peersOf(next), func(begun uint64) bool {
		return n.confirmedSince(next, o.term, begun) && (!next[ch.id] || n.answeredSince(ch.id, o.term, begun))
	})
}

// hearAfresh asks members, and returns once those who answered to what was sent since begun are enough.
func (n *Node) hearAfresh(o *office, within time.Duration, peers []MemberID, enough func(begun uint64) bool) error {
	begun := n.transport.clock.tick()
	n.transport.announce(peers, o.term, n.shownCommit())
	ctx, cancel := context.WithTimeout(o.ctx, within)
	defer cancel()
	for {
		answered := n.transport.answers.wait()
		if enough(begun) {
			return nil
		}
		select {
		case <-answered:
		case <-n.guard.broken:
			return n.guard.err()
		case <-ctx.Done():
			return errNotConfirmed
		}
	}
}

func (n *Node) confirmedSince(servers map[MemberID]bool, term, begun uint64) bool {
	voters, yes := 0, 0
	for id, votes := range servers {
		if !votes {
			continue
		}
		voters++
		if id == n.cfg.ID || n.answeredSince(id, term, begun) {
			yes++
		}
	}
	return yes > voters/2
}

func (n *Node) answeredSince(id MemberID, term, begun uint64) bool {
	c := n.transport.contact(id)
	return c.term == term && c.asked > begun
}

// waitApplied returns once the store has applied every command up to an index that is committed.
func (n *Node) waitApplied(ctx context.Context, index uint64) error {
	command, err := n.lastCommand(index)
	if err != nil {
		return err
	}
	for {
		applied := n.fsm.applied.wait()
		if n.cfg.Store.View().Index() >= command {
			return nil
		}
		select {
		case <-applied:
		case <-n.fsm.halted:
			return n.fsm.stopped()
		case <-ctx.Done():
			return errNotLeading
		}
	}
}

// lastCommand is the last entry up to index that the store sees: raft keeps no-ops, barriers and configurations from
// it. 0: the store has it all, from a snapshot if not from the log.
func (n *Node) lastCommand(index uint64) (uint64, error) {
	for ; index > n.cfg.Store.View().Index(); index-- {
		var l raft.Log
		if err := n.logs.GetLog(index, &l); err != nil {
			if errors.Is(err, raft.ErrLogNotFound) {
				return 0, nil
			}
			return 0, fmt.Errorf("read entry %d: %w", index, err)
		}
		if l.Type == raft.LogCommand {
			return index, nil
		}
	}
	return 0, nil
}
