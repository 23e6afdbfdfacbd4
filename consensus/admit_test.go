package consensus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestAdmission(t *testing.T) {
	const term = 1000 // far above any
	vote := func(name consensus.MemberID) *raft.RequestVoteRequest {
		return &raft.RequestVoteRequest{
			RPCHeader: header(name), Term: term, Candidate: []byte(name), LastLogIndex: 1 << 40, LastLogTerm: term,
			LeadershipTransfer: true,
		}
	}
	entries := func(name consensus.MemberID) *raft.AppendEntriesRequest {
		return &raft.AppendEntriesRequest{RPCHeader: header(name), Term: term, Leader: []byte(name)}
	}
	// attack sends what one peer says in one name, and returns how raft answered. Four members found a group of
	// three voters; the last is the attacker.
	attack := func(t *testing.T, eligible bool, tune func(*consensus.Config), send func(tr *raft.NetworkTransport, g *consensustest.Group, evil, leader *consensustest.Member) error) (err error, shaken bool) {
		bubble(t, 4, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			evil := g.Members[3]
			evil.Eligible = eligible
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) { tune(c) }
			g.Found(3)
			leader := g.Leader()
			before := leader.Node().Status().Term
			g.Kill(evil)
			evil.Endpoint.Up()
			err = send(rawPeer(t, evil), g, evil, leader)
			time.Sleep(3 * time.Second)
			shaken = g.Leader().Node().Status().Term != before
		})
		return err, shaken
	}
	type attempt struct {
		name     string
		eligible bool
		send     func(tr *raft.NetworkTransport, g *consensustest.Group, evil, leader *consensustest.Member) error
	}
	attempts := []attempt{
		{"a member that may not vote asks for votes", false, func(tr *raft.NetworkTransport, _ *consensustest.Group, evil, leader *consensustest.Member) error {
			return tr.RequestVote(raft.ServerID(leader.ID), raft.ServerAddress(leader.ID), vote(evil.ID), &raft.RequestVoteResponse{})
		}},
		{"a member that might vote but does not asks for votes", true, func(tr *raft.NetworkTransport, _ *consensustest.Group, evil, leader *consensustest.Member) error {
			return tr.RequestVote(raft.ServerID(leader.ID), raft.ServerAddress(leader.ID), vote(evil.ID), &raft.RequestVoteResponse{})
		}},
		{"a member asks for votes in a voter's name", true, func(tr *raft.NetworkTransport, g *consensustest.Group, _, leader *consensustest.Member) error {
			return tr.RequestVote(raft.ServerID(leader.ID), raft.ServerAddress(leader.ID), vote(other(g, leader).ID), &raft.RequestVoteResponse{})
		}},
		{"a member that may not vote appends entries", false, func(tr *raft.NetworkTransport, _ *consensustest.Group, evil, leader *consensustest.Member) error {
			return tr.AppendEntries(raft.ServerID(leader.ID), raft.ServerAddress(leader.ID), entries(evil.ID), &raft.AppendEntriesResponse{})
		}},
		{"a member appends entries in the leader's name", true, func(tr *raft.NetworkTransport, g *consensustest.Group, _, leader *consensustest.Member) error {
			to := other(g, leader)
			return tr.AppendEntries(raft.ServerID(to.ID), raft.ServerAddress(to.ID), entries(leader.ID), &raft.AppendEntriesResponse{})
		}},
		{"a member that does not lead tells a follower to stand for election", true, func(tr *raft.NetworkTransport, g *consensustest.Group, evil, leader *consensustest.Member) error {
			to := other(g, leader)
			req := &raft.TimeoutNowRequest{RPCHeader: header(evil.ID)}
			return tr.TimeoutNow(raft.ServerID(to.ID), raft.ServerAddress(to.ID), req, &raft.TimeoutNowResponse{})
		}},
	}
	for _, a := range attempts {
		t.Run(a.name+", and nothing comes of it", func(t *testing.T) {
			err, shaken := attack(t, a.eligible, func(*consensus.Config) {}, a.send)
			if err == nil {
				t.Error("raft answered")
			}
			if shaken {
				t.Error("it caused an election")
			}
		})
	}
	t.Run("without admission each of them causes an election, so it is still needed", func(t *testing.T) {
		for _, a := range attempts {
			if _, shaken := attack(t, a.eligible, consensus.WithoutAdmission, a.send); !shaken {
				t.Errorf("%s: nothing came of it", a.name)
			}
		}
	})
	t.Run("the refusal says who spoke as whom", func(t *testing.T) {
		err, _ := attack(t, true, func(*consensus.Config) {}, attempts[2].send)
		if err == nil || !strings.Contains(err.Error(), `"m4" speaks as`) {
			t.Errorf("got %v", err)
		}
	})
}
