package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/reconcile"
)

// grants hands the reconciler what its cluster was granted. Before it hands anything out, it has the state that this
// came from recorded as the last good one, so that a restart never acts on an older state.
type grants struct {
	core *Core
	latest[[]reconcile.Grant]
}

func newGrants(c *Core) *grants { return &grants{core: c} }

// follow keeps the grants as the log says, until ctx ends.
func (g *grants) follow(ctx context.Context) error {
	own := v1alpha1.KeyGrants + g.core.self.Cluster + "/"
	return g.core.follow(ctx, []string{own, v1alpha1.KeyObserving + g.core.self.Cluster}, func(v *store.View) error {
		if v.Revision() == 0 {
			return nil
		}
		next, err := g.read(v, own)
		if err != nil {
			return err
		}
		if err := g.core.node.Record(v); err != nil {
			return err
		}
		g.set(next, true)
		return nil
	})
}

func (g *grants) read(v *store.View, own string) ([]reconcile.Grant, error) {
	e := v.Epoch()
	observe := epoch.Looks(v, g.core.self.Cluster)
	var all []reconcile.Grant
	for _, kv := range v.List(own) {
		var record v1alpha1.Grant
		if err := json.Unmarshal(kv.Value, &record); err != nil {
			return nil, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		grant := reconcile.Grant{
			Bundle: record.Bundle, BundleUID: record.BundleUID, Revision: record.Revision, Withdraw: record.Withdraw, Observe: observe,
			StoreRevision: uint64(epoch.DecidedAt(v, kv.Modified, record)), Epoch: reconcile.Epoch{Number: e.Number, ID: e.ID, Began: uint64(e.Began)},
		}
		if !record.Withdraw {
			if err := fill(v, &grant); err != nil {
				// Without its content there is no such grant: what runs of it is left alone.
				g.core.log.Error("grant cannot be carried out", "bundle", grant.Bundle, "revision", grant.Revision, "err", err)
				continue
			}
		}
		all = append(all, grant)
	}
	return all, nil
}

// fill puts the content of the granted revision into a grant.
func fill(v *store.View, g *reconcile.Grant) error {
	kv, ok := v.Get(v1alpha1.KeyBundleRevisions + g.Revision)
	if !ok {
		return fmt.Errorf("revision %s is granted but not in the log", g.Revision)
	}
	var r v1alpha1.BundleRevision
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return fmt.Errorf("read %s: %w", kv.Key, err)
	}
	if r.Spec.Bundle != g.Bundle || r.Spec.BundleUID != g.BundleUID {
		return fmt.Errorf("revision %s is of bundle %s (%s), the grant of %s (%s)", g.Revision, r.Spec.Bundle, r.Spec.BundleUID, g.Bundle, g.BundleUID)
	}
	g.Drift, g.Deletion, g.Adopt = r.Spec.Drift, r.Spec.Deletion, r.Spec.Adopt
	for i, m := range r.Spec.Manifests {
		var u unstructured.Unstructured
		if err := u.UnmarshalJSON(m.Raw); err != nil {
			return fmt.Errorf("read manifest %d of %s: %w", i, g.Revision, err)
		}
		g.Objects = append(g.Objects, u)
	}
	return nil
}

// Withdrawn strikes the member's grant of a bundle, and the member off the bundle's tombstone, in one transaction.
// The reconciler calls it when nothing of the bundle is left, and again if it fails.
func (c *Core) Withdrawn(ctx context.Context, bundle, uid string) error {
	if _, err := c.node.Read(ctx); err != nil {
		return err
	}
	v := c.store.View()
	kv, ok := v.Get(v1alpha1.GrantKey(c.self.Cluster, bundle))
	if !ok {
		return nil
	}
	var g v1alpha1.Grant
	if err := json.Unmarshal(kv.Value, &g); err != nil {
		return fmt.Errorf("read %s: %w", kv.Key, err)
	}
	if !g.Withdraw || g.BundleUID != uid {
		return nil // granted again meanwhile
	}
	txn := store.Txn{If: []store.Condition{store.KeyAt(kv.Key, kv.Modified)}, Then: []store.Op{store.Delete(kv.Key)}}
	if tomb, ok := v.Get(v1alpha1.KeyTombstones + uid); ok {
		op, changed, err := law.Strike(tomb, c.self.Cluster)
		if err != nil {
			return err
		}
		if changed {
			txn.If, txn.Then = append(txn.If, store.KeyAt(tomb.Key, tomb.Modified)), append(txn.Then, op)
		}
	}
	_, err := c.node.Propose(ctx, consensus.Proposal{Txn: txn})
	return err
}
