package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// Remove takes a cluster out of the fleet through a member, as `hanse remove` does: it takes its vote, waits until the leader
// says that it has none, and deletes it. It begins anew until ctx ends, and goes on where another one stopped.
func Remove(ctx context.Context, through *agent.Core, cluster string) (at store.Revision, err error) {
	for ctx.Err() == nil {
		v := through.Store().View()
		kv, there := v.Get(v1alpha1.KeyClusters + cluster)
		if !there && v.Revision() > 0 {
			return v.Revision(), nil
		}
		op, waits := removalStep(kv)
		if !waits {
			if at, err = write(ctx, through, v, op); err == nil && op.Delete {
				return at, nil
			}
		}
		if waits || err != nil && !isConflict(err) {
			pause.For(ctx, 100*time.Millisecond)
		}
	}
	return 0, fmt.Errorf("remove %s: %w", cluster, errors.Join(ctx.Err(), err))
}

// removalStep is what to write next; waits is true while it is the leader's turn.
func removalStep(cluster store.KV) (op store.Op, waits bool) {
	var c v1alpha1.Cluster
	if json.Unmarshal(cluster.Value, &c) != nil {
		return op, true
	}
	if c.VotesNoMore() {
		return store.Delete(cluster.Key), false
	}
	if c.Spec.Voting == v1alpha1.VotingNever {
		return op, true
	}
	c.Spec.Voting = v1alpha1.VotingNever
	c.Generation++
	value, err := json.Marshal(c)
	return store.Put(cluster.Key, value), err != nil
}

// write changes what is there, with its companions, as a member's API would.
func write(ctx context.Context, through *agent.Core, v *store.View, op store.Op) (store.Revision, error) {
	p, err := proposal(through, v, op.Key, op.Value)
	if err != nil {
		return 0, err
	}
	r, err := through.Node().Propose(ctx, p)
	return r.Revision, err
}
