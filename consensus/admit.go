package consensus

import (
	"errors"

	"github.com/hashicorp/raft"
)

var (
	errNotEligible = errors.New("the member may not lead")
	errNoVoter     = errors.New("the member does not vote")
	errNoAuthority = errors.New("the member is not our leader")
)

// admitStream lets those open raft streams to us who vote, or may: all others only answer. While we have no
// configuration we are new, and let everyone speak whom the network lets through.
func (n *Node) admitStream(from MemberID) error {
	if n.cfg.faults.admitAll || n.mayLead(from) {
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
	if n.cfg.faults.admitAll {
		return nil
	}
	switch command.(type) {
	case *raft.RequestVoteRequest, *raft.RequestPreVoteRequest:
		if !n.servers()[from] {
			return errNoVoter
		}
	case *raft.TimeoutNowRequest:
		if leader, _, ok := n.Leader(); !ok || leader != from {
			return errNoAuthority
		}
	default:
		if !n.mayLead(from) {
			return errNotEligible
		}
	}
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
