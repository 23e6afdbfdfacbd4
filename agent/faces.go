package agent

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
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

// workBoard offers the computed kind to apiserver: computed anew when the log or what members say has changed.
type workBoard struct {
	core    *Core
	works   *works
	mu      sync.Mutex
	items   []v1alpha1.Work
	version uint64
	changed chan struct{}
}

// worksPause is the least time between two computations.
const worksPause = 10 * time.Millisecond

func newWorkBoard(c *Core, w *works) *workBoard {
	return &workBoard{core: c, works: w, version: uint64(time.Now().UnixNano()), changed: make(chan struct{})}
}

// List implements apiserver.Works.
func (b *workBoard) List() ([]v1alpha1.Work, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.items, b.version
}

// Changed implements apiserver.Works.
func (b *workBoard) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// follow computes until ctx ends.
func (b *workBoard) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		v := b.core.store.View()
		_, _, news := b.core.reports.Seen()
		if items, err := b.works.list(v); err != nil {
			b.core.log.Error("works cannot be computed", "err", err)
		} else {
			b.put(items)
		}
		b.core.await(ctx, decidesOn, v.Revision(), news)
		sleep(ctx, worksPause)
	}
	return nil
}

// put shows new items; the same as before are no news.
func (b *workBoard) put(items []v1alpha1.Work) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if equality.Semantic.DeepEqual(b.items, items) {
		return
	}
	b.items = items
	b.version++
	close(b.changed)
	b.changed = make(chan struct{})
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
