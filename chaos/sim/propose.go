package sim

import (
	"context"
	"errors"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Proposal is a member's own write of an object, nil to delete it, with all that the law wants beside it. It passes if the object
// is still as the member's own state has it now.
func Proposal(core *agent.Core, key string, after []byte) (consensus.Proposal, error) {
	return proposal(core, core.Store().View(), key, after)
}

func proposal(core *agent.Core, v *store.View, key string, after []byte) (consensus.Proposal, error) {
	self, _ := v.Member(core.Node().Status().ID)
	c := law.Change{Key: key, After: after, At: time.Now(), Who: law.Who{Through: self.Cluster}}
	as, op := store.KeyAbsent(key), store.Delete(key)
	if kv, there := v.Get(key); there {
		c.Before, as = kv.Value, store.KeyAt(key, kv.Modified)
	}
	if after != nil {
		op = store.Put(key, after)
	}
	conditions, ops, err := law.Companions(v, c)
	txn := store.Txn{If: append([]store.Condition{as}, conditions...), Then: append([]store.Op{op}, ops...)}
	return consensus.Proposal{Txn: txn}, err
}

// Propose writes an object as Proposal does, whatever is there: when somebody else was faster it tries again. A refusal counts if
// the member's state has all that was acknowledged before.
func Propose(ctx context.Context, core *agent.Core, key string, after []byte) (store.Result, error) {
	for fresh := false; ; fresh = true {
		p, err := Proposal(core, key, after)
		if err != nil {
			return store.Result{}, err
		}
		r, err := core.Node().Propose(ctx, p)
		if !isConflict(err) && (fresh || !isForbidden(err)) {
			return r, err
		}
		if _, late := core.Node().Read(ctx); late != nil {
			return r, err // surely nothing was written
		}
	}
}

func isConflict(err error) bool {
	var conflict *store.Conflict
	return errors.As(err, &conflict)
}

func isForbidden(err error) bool {
	var forbidden *store.Forbidden
	return errors.As(err, &forbidden)
}
