package consensus

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// keyHeartbeat is what Healthy writes to the stable store.
var keyHeartbeat = []byte("HanseHeartbeat")

// Healthy fails unless raft's main loop answers and the disk takes a write before ctx ends. It says nothing about
// quorum: a member without one is healthy. It is for a watchdog.
func (n *Node) Healthy(ctx context.Context) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.leave()
	if err := n.guard.err(); err != nil {
		return err
	}
	r := n.probes.join()
	select {
	case <-r.done:
		return r.err
	case <-n.guard.broken:
		return n.guard.err()
	case <-ctx.Done():
		return fmt.Errorf("raft or the disk does not answer: %w", context.Cause(ctx))
	}
}

// probe asks the main loop something that it answers in every state and that changes nothing, then writes and syncs.
func (n *Node) probe() (struct{}, error) {
	if err := n.mainLoop(); err != nil {
		return struct{}{}, err
	}
	now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
	return struct{}{}, n.guard.try("write heartbeat", func() error { return n.stores.Stable.Set(keyHeartbeat, now) })
}

// Status is what a node knows about its group, without asking anybody.
type Status struct {
	ID     MemberID
	State  string   // follower, candidate, leader or shutdown
	Leader MemberID // empty: none known
	Term   uint64
	// Voters and Nonvoters are raft's servers, sorted.
	Voters, Nonvoters []MemberID
	// Agreed are the voters of the newest configuration that this member knows to be committed, sorted: what is decided by
	// should the members be lost that alone have a newer one. Empty when none was committed since the start.
	Agreed []MemberID
	// Source is whom this member follows, empty when it is in raft or finds nobody.
	Source MemberID
	// Followers is how many follow this member.
	Followers int
	// LastContact is when this member last heard its leader; for a leader, now.
	LastContact time.Time
	// Last, Commit and Applied are indexes of the log.
	Last, Commit, Applied uint64
	// Peers are the others as the leader sees them, sorted; empty on a follower.
	Peers []Peer
	// Removed is true once this member, having been one, is no longer among the members.
	Removed bool
	// Stopped is why the store applies no more entries, or nil.
	Stopped error
}

// Peer is a member as the leader sees it.
type Peer struct {
	ID MemberID
	// Contact is when the member last answered; zero: not in this term.
	Contact time.Time
	// Match is the last index that it is known to have.
	Match uint64
	// Stable is true when it may become a voter.
	Stable bool
}

// Status returns what this node knows. It does not block.
func (n *Node) Status() Status {
	leader, term, _ := n.Leader()
	s := Status{
		ID: n.cfg.ID, State: stateName(n.raft.State()), Leader: leader, Term: term,
		LastContact: n.raft.LastContact(), Last: n.raft.LastIndex(), Commit: n.raft.CommitIndex(),
		Applied: n.raft.AppliedIndex(), Removed: n.removed(), Stopped: n.fsm.stopped(),
	}
	s.Followers = n.feeds.Count()
	if up := n.upstream.Load(); up != nil {
		s.Source = up.source
	}
	for id, votes := range n.servers() {
		if votes {
			s.Voters = append(s.Voters, id)
		} else {
			s.Nonvoters = append(s.Nonvoters, id)
		}
	}
	if c := n.fsm.configured.Load(); c != nil {
		for _, id := range sortedKeys(c.servers) {
			if c.servers[id] {
				s.Agreed = append(s.Agreed, id)
			}
		}
	}
	slices.Sort(s.Voters)
	slices.Sort(s.Nonvoters)
	if o := n.leading(); o != nil {
		s.LastContact = time.Now()
		s.Peers = n.peers(o, append(slices.Clone(s.Voters), s.Nonvoters...))
	}
	return s
}

func (n *Node) peers(o *office, ids []MemberID) []Peer {
	var out []Peer
	for _, id := range ids {
		if id == n.cfg.ID {
			continue
		}
		c := n.transport.contact(id)
		out = append(out, Peer{ID: id, Contact: c.heard, Match: c.match, Stable: n.stable(o, id)})
	}
	slices.SortFunc(out, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func stateName(s raft.RaftState) string {
	switch s {
	case raft.Follower:
		return "follower"
	case raft.Candidate:
		return "candidate"
	case raft.Leader:
		return "leader"
	}
	return "shutdown"
}

// mainLoop returns when raft's main loop has answered: it refuses to be founded again.
func (n *Node) mainLoop() error {
	err := n.raft.BootstrapCluster(raft.Configuration{}).Error()
	if !errors.Is(err, raft.ErrNotVoter) && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("ask raft: %w", err)
	}
	return nil
}
