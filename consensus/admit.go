package consensus

import (
	"errors"

	"github.com/hashicorp/raft"
)

var (
	errNotEligible = errors.New("the member may not lead")
	errNoVoter     = errors.New("the member does not vote")
	errNoAuthority = errors.New("the member is not our leader")
	errMalformed   = errors.New("the message is malformed")
	// errStands: there is nothing left to do, this member stands for election already because the same leader called it.
	errStands = errors.New("it stands already")
)

// admitStream lets those open raft streams to us who vote, or may: all others only answer. While we have no
// configuration we are new, and let everyone speak whom the network lets through.
func (n *Node) admitStream(from MemberID) error {
	if n.cfg.Faults.AdmitAll || n.mayLead(from) {
		return nil
	}
	return errNotEligible
}

// admit decides by role:
//
//	AppendEntries, InstallSnapshot   members that may lead
//	RequestVote, RequestPreVote      voters of our configuration
//	TimeoutNow                       our leader
func (n *Node) admit(from MemberID, command any) error {
	if n.cfg.Faults.AdmitAll {
		return nil
	}
	switch command.(type) {
	case *raft.RequestVoteRequest, *raft.RequestPreVoteRequest:
		if !n.servers()[from] {
			return errNoVoter
		}
	case *raft.TimeoutNowRequest:
		if n.heir.get() == n.cfg.ID && n.heir.calledBy(from) {
			return errStands
		}
		if leader, _, ok := n.Leader(); !ok || leader != from {
			return errNoAuthority
		}
		n.hold(false) // it stands now
	default:
		if !n.mayLead(from) {
			return errNotEligible
		}
		if termOf(command) >= n.raft.CurrentTerm() { // not a leader of the past
			n.hear()
		}
		return wellFormed(command)
	}
	return nil
}

// termOf is the term that a leader speaks in.
func termOf(command any) uint64 {
	switch c := command.(type) {
	case *raft.InstallSnapshotRequest:
		return c.Term
	case *raft.AppendEntriesRequest:
		return c.Term
	}
	return 0
}

// wellFormed refuses what raft would panic over: a configuration that is none, and entries of a kind it does not know.
func wellFormed(command any) error {
	switch c := command.(type) {
	case *raft.InstallSnapshotRequest:
		return decodable(c.Configuration)
	case *raft.AppendEntriesRequest:
		for _, e := range c.Entries {
			if err := wellFormedEntry(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func wellFormedEntry(e *raft.Log) error {
	if e == nil {
		return errMalformed
	}
	switch e.Type {
	case raft.LogCommand, raft.LogNoop, raft.LogBarrier:
		return nil
	case raft.LogConfiguration:
		return decodable(e.Data)
	}
	return errMalformed
}

// decodable says whether raft can read the configuration: it panics when it cannot.
func decodable(configuration []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errMalformed
		}
	}()
	raft.DecodeConfiguration(configuration)
	return nil
}

// mayLead is true for voters of our configuration, and for members that may vote: one may have become a voter and
// leader without our having heard of it yet.
func (n *Node) mayLead(id MemberID) bool {
	servers := n.servers()
	if servers[id] || len(servers) == 0 {
		return true
	}
	m, ok := n.cfg.Store.View().Member(id)
	return ok && m.Eligible
}
