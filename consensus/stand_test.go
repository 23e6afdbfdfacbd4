package consensus_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// TestElectionAfterADeath kills leaders at random moments. Virtual time has no noise, so what is measured is the protocol.
func TestElectionAfterADeath(t *testing.T) {
	for _, c := range []struct {
		members, dead int
		rtt, timeout  time.Duration
		turns         int // that may pass without effect
	}{
		{3, 1, time.Millisecond, 250 * time.Millisecond, 0},
		{3, 1, 80 * time.Millisecond, 400 * time.Millisecond, 0},
		{5, 1, 80 * time.Millisecond, 400 * time.Millisecond, 0},
		{5, 2, 80 * time.Millisecond, 400 * time.Millisecond, 1},
	} {
		t.Run(fmt.Sprintf("%d of %d members, a round trip of %s", c.dead, c.members, c.rtt), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed(t), 1))
			var gaps []time.Duration
			bubble(t, c.members, c.rtt/2, func(t *testing.T, g *consensustest.Group) {
				g.Tune = func(_ *consensustest.Member, cfg *consensus.Config) {
					cfg.Timing = consensus.DefaultTiming().WithTimeout(c.timeout)
					cfg.Choose = consensus.EligibleVoters(c.members)
				}
				g.Found(c.members)
				for range 20 {
					gaps = append(gaps, afterADeath(t, g, rng, c.dead))
				}
			})
			slices.Sort(gaps)
			half, most := gaps[len(gaps)/2], gaps[len(gaps)-1]
			t.Logf("from the death to the next write: half of the time %s, at most %s", half, most)
			// The timeout, what is between its words to two voters, two votes, the first entry and the write.
			if bound := c.timeout + c.timeout*2/5 + time.Duration(c.turns)*c.timeout/2 + 4*c.rtt + 20*time.Millisecond; most > bound {
				t.Errorf("more than %s", bound)
			}
		})
	}
}

// afterADeath kills the leader and those whose turn would be next, and returns how long it took until a write through
// another member was committed.
func afterADeath(t *testing.T, g *consensustest.Group, rng *rand.Rand, dead int) time.Duration {
	gone := []*consensustest.Member{g.Leader()}
	for _, m := range g.Members {
		if m != gone[0] && len(gone) < dead {
			gone = append(gone, m)
		}
	}
	time.Sleep(5*time.Second + time.Duration(rng.Int64N(int64(time.Second))))
	begun := time.Now()
	for _, m := range gone {
		m.Endpoint.Down()
	}
	g.MustPut(g.Leader(gone...), "/k", "v")
	gap := time.Since(begun)
	for _, m := range gone {
		g.Kill(m)
		g.Start(m)
	}
	time.Sleep(5 * time.Second)
	return gap
}

func TestStanding(t *testing.T) {
	t.Run("who alone does not hear the leader does not unseat it", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			term := leader.Node().Status().Term
			for _, m := range g.Members {
				if m != leader {
					g.Net.Cut(leader.ID, m.ID, true)
					time.Sleep(30 * time.Second)
					g.Net.Cut(leader.ID, m.ID, false)
					time.Sleep(5 * time.Second)
				}
			}
			if s := leader.Node().Status(); s.State != "leader" || s.Term != term {
				t.Errorf("now it is %s of term %d, was leader of %d", s.State, s.Term, term)
			}
		})
	})
	t.Run("who stood in vain stands again soon", func(t *testing.T) {
		bubble(t, 3, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			a, b := others(g, leader)
			leader.Endpoint.Down()
			g.Net.Cut(a.ID, b.ID, true)
			time.Sleep(20 * time.Second)
			g.Net.Cut(a.ID, b.ID, false)
			begun := time.Now()
			g.Leader(leader)
			if took, bound := time.Since(begun), 4*consensus.DefaultTiming().Election; took > bound {
				t.Errorf("no leader for %s after the two met again, more than %s", took, bound)
			}
		})
	})
	t.Run("who has given the leader up says yes, but not to a log that is behind, nor while it hears the leader", func(t *testing.T) {
		bubble(t, 3, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			asker, asked := g.Members[1], g.Members[2]
			if leader != g.Members[0] {
				t.Fatal("the first member does not lead")
			}
			g.MustPut(leader, "/k", "v")
			time.Sleep(time.Second)
			s := asked.Node().Status()
			peer := rawPeer(t, asker)
			granted := func(behind uint64) bool {
				var resp raft.RequestPreVoteResponse
				req := &raft.RequestPreVoteRequest{RPCHeader: header(asker.ID), Term: s.Term + 1, LastLogIndex: s.Last - behind, LastLogTerm: s.Term}
				if err := peer.RequestPreVote(raft.ServerID(asked.ID), raft.ServerAddress(asked.ID), req, &resp); err != nil {
					t.Fatal(err)
				}
				return resp.Granted
			}
			if granted(0) {
				t.Error("it would vote although it hears its leader")
			}
			leader.Endpoint.Down()
			time.Sleep(consensus.DefaultTiming().Heartbeat + 10*time.Millisecond)
			if known, _, ok := asked.Node().Leader(); !ok || known != leader.ID {
				t.Fatal("raft has given the leader up, so nothing is tried here")
			}
			if granted(1) {
				t.Error("it would vote for whom an entry is missing")
			}
			if !granted(0) {
				t.Error("it would not vote although it does not hear its leader")
			}
		})
	})
}
