package agent

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/reconcile"
	"github.com/hanse-fleet/hanse/report"
)

// apiStore is the store as apiserver wants it.
type apiStore struct{ core *Core }

func (s apiStore) View() *store.View { return s.core.store.View() }

func (s apiStore) Watch(prefix string, after store.Revision) (*store.Watcher, error) {
	return s.core.store.Watch(prefix, after)
}

func (s apiStore) WaitFor(ctx context.Context, r store.Revision) error {
	return s.core.store.WaitFor(ctx, r)
}

func (s apiStore) Read(ctx context.Context) (store.Revision, error) { return s.core.node.Read(ctx) }

func (s apiStore) Propose(ctx context.Context, person string, txn store.Txn) (store.Result, error) {
	return s.core.node.Propose(ctx, consensus.Proposal{Person: person, Txn: txn})
}

// companion says what else a transaction must write, and find as it is, when it writes a key now.
func (c *Core) companion(v *store.View, w apiserver.Write) ([]store.Condition, []store.Op, error) {
	unclaimed, err := c.claims.check(v, w)
	if err != nil {
		return nil, nil, err
	}
	conditions, ops, err := law.Companions(v, law.Change{Key: w.Key, Before: w.Before, After: w.After, At: c.now(), Who: c.who(w.Asker)})
	return append(conditions, unclaimed...), ops, err
}

// judge says why a person's transaction would be refused as the log is here.
func (c *Core) judge(person string, txn store.Txn) error {
	return c.store.Allows(store.Asker{Member: c.id(), Person: person}, txn)
}

// who is somebody that asks this member.
func (c *Core) who(a apiserver.Asker) law.Who {
	return law.Who{Person: a.Person, Through: c.self.Cluster, Groups: a.Groups, SourceIP: a.SourceIP, UserAgent: a.UserAgent}
}

// recorded is a transaction with all that its ops must bring, as a person asks for it.
func (c *Core) recorded(a apiserver.Asker, txn store.Txn) (consensus.Proposal, error) {
	v := c.store.View()
	for _, op := range txn.Then {
		w := apiserver.Write{Key: op.Key, After: op.Value, Asker: a}
		if kv, ok := v.Get(op.Key); ok {
			w.Before = kv.Value
		}
		txn.If = append(txn.If, v.AsSeen(op.Key))
		conditions, ops, err := c.companion(v, w)
		if err != nil {
			return consensus.Proposal{}, err
		}
		txn.If, txn.Then = append(txn.If, conditions...), append(txn.Then, ops...)
	}
	return consensus.Proposal{Person: a.Person, Txn: txn}, nil
}

// ownReports collects what the reconciler says of the member's own cluster, and tells the other members all of it.
type ownReports struct {
	core    *Core
	tell    *announcer
	mu      sync.Mutex
	bundles map[string]report.Bundle
}

func newOwnReports(c *Core, tell *announcer) *ownReports {
	return &ownReports{core: c, tell: tell, bundles: map[string]report.Bundle{}}
}

// take takes over the bundles whose status changed.
func (o *ownReports) take(changed []reconcile.Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range changed {
		var before *v1alpha1.WorkStatus
		if had, ok := o.bundles[r.Bundle]; ok && had.BundleUID == r.BundleUID {
			before = &had.Status
		}
		o.tell.reported(r, before)
		o.bundles[r.Bundle] = report.Bundle{Bundle: r.Bundle, BundleUID: r.BundleUID, Status: r.Status}
	}
	o.core.reports.Tell(slices.Collect(maps.Values(o.bundles)))
}

// withdrawn forgets a bundle that left nothing in the cluster, and strikes it in the log.
func (o *ownReports) withdrawn(ctx context.Context, bundle, uid string) error {
	if err := o.core.Withdrawn(ctx, bundle, uid); err != nil {
		return err
	}
	o.tell.withdrawn(bundle, uid)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bundles[bundle].BundleUID == uid {
		delete(o.bundles, bundle)
		o.core.reports.Tell(slices.Collect(maps.Values(o.bundles)))
	}
	return nil
}
