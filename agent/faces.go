package agent

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

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

// Companion says what else a transaction must write when it writes a key now.
func Companion(v *store.View, key string, before, after []byte) ([]store.Condition, []store.Op, error) {
	return law.Companions(v, law.Change{Key: key, Before: before, After: after, At: time.Now()})
}

// ownReports collects what the reconciler says of the member's own cluster, and tells the other members all of it.
type ownReports struct {
	core    *Core
	mu      sync.Mutex
	bundles map[string]report.Bundle
}

func newOwnReports(c *Core) *ownReports {
	return &ownReports{core: c, bundles: map[string]report.Bundle{}}
}

// take takes over the bundles whose status changed.
func (o *ownReports) take(changed []reconcile.Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range changed {
		o.bundles[r.Bundle] = report.Bundle{Bundle: r.Bundle, BundleUID: r.BundleUID, Status: r.Status}
	}
	o.core.reports.Tell(slices.Collect(maps.Values(o.bundles)))
}

// withdrawn forgets a bundle that left nothing in the cluster, and strikes it in the log.
func (o *ownReports) withdrawn(ctx context.Context, bundle, uid string) error {
	if err := o.core.Withdrawn(ctx, bundle, uid); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bundles[bundle].BundleUID == uid {
		delete(o.bundles, bundle)
		o.core.reports.Tell(slices.Collect(maps.Values(o.bundles)))
	}
	return nil
}
