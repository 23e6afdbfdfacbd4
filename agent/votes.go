package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/trouble"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// promiseVote says in the log that a member votes before it does. From then on the law refuses to delete its cluster, so nobody is
// cut off who has a vote. It is called by the consensus. The promise is written even when the log says so already: what the leader
// was about to write of the cluster, from an older look, is overtaken by it. Between that and the vote statuses say that it votes.
func (c *Core) promiseVote(ctx context.Context, term uint64, id store.MemberID) (after func(), err error) {
	v := c.store.View()
	m, ok := v.Member(id)
	if !ok || !m.Eligible {
		return nil, fmt.Errorf("%s is not to vote any more", id)
	}
	kv, there := v.Get(v1alpha1.KeyClusters + m.Cluster)
	if !there {
		return nil, fmt.Errorf("promise the vote: the fleet has no cluster %q", m.Cluster)
	}
	var before v1alpha1.Cluster
	if err := json.Unmarshal(kv.Value, &before); err != nil {
		return nil, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	promised := before
	promised.Status.Voter = v1alpha1.RoleVoter
	op, err := law.Amend(kv, &before, &promised)
	if err != nil {
		return nil, err
	}
	member, _ := v.Get(store.KeyMembers + string(id))
	c.promised.Store(&id)
	after = func() { c.promised.Store(nil) }
	_, err = c.node.Propose(ctx, consensus.Proposal{Term: term, Txn: store.Txn{
		If: []store.Condition{store.KeyAt(kv.Key, kv.Modified), store.KeyAt(member.Key, member.Modified)}, Then: []store.Op{op},
	}})
	if err != nil {
		after()
		return nil, fmt.Errorf("promise the vote: %w", err)
	}
	return after, nil
}

// tellVotes says in the log who votes, for as long as this member leads. A removal waits for that, and a pass over all that a leader
// decides takes long while many people write, so it is said beside that.
func (c *Core) tellVotes(ctx context.Context, term uint64) {
	var stuck trouble.Trouble
	for ctx.Err() == nil {
		v := c.store.View()
		if err := c.writeVotes(ctx, term, v); ctx.Err() == nil {
			stuck.Tell(c.log, "leader could not write who votes", err, "term", term)
		}
		c.await(ctx, []string{v1alpha1.KeyClusters, store.KeyMembers}, v.Revision(), nil)
	}
}

func (c *Core) writeVotes(ctx context.Context, term uint64, v *store.View) error {
	all, err := c.decoded.Clusters.List(v)
	if err != nil {
		return err
	}
	voters := c.voters()
	for _, o := range all {
		next := *o.Value
		next.Status.Voter = plan.VoterRole(voters[store.MemberID(o.Value.Status.Incarnation)])
		if next.Status.Voter == o.Value.Status.Voter {
			continue
		}
		kv, _ := v.Get(o.Key)
		op, err := law.Amend(kv, o.Value, &next)
		if err != nil {
			return err
		}
		if _, err := c.proposeDecision(ctx, term, []store.Condition{store.KeyAt(o.Key, o.Modified)}, op); err != nil {
			return err
		}
	}
	return nil
}

// voters are those of raft, and who is about to be one.
func (c *Core) voters() map[store.MemberID]bool {
	votes := map[store.MemberID]bool{}
	if id := c.promised.Load(); id != nil { // before raft is asked: then it is in one of the two
		votes[*id] = true
	}
	for _, id := range c.node.Status().Voters {
		votes[id] = true
	}
	return votes
}
