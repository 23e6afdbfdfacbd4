package agent

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// computed offers a computed kind to apiserver: computed anew when the log or what members say has changed.
type computed struct {
	core *Core
	kind string
	list func(*store.View) ([]apiserver.Object, error)
	// pause is the least time between two computations.
	pause time.Duration

	mu      sync.Mutex
	items   []apiserver.Object
	version uint64
	changed chan struct{}
	// of is the revision of the log that the items were computed from last; next closes when they are again.
	of   store.Revision
	next chan struct{}
	// hurry ends the rest before the next computation.
	hurry func()
}

// computedKind makes one whose objects come from list, in the order of their names.
func computedKind[T any, P interface {
	*T
	apiserver.Object
}](c *Core, kind string, pause time.Duration, list func(*store.View) ([]T, error)) *computed {
	objects := func(v *store.View) ([]apiserver.Object, error) {
		items, err := list(v)
		all := make([]apiserver.Object, len(items))
		for i := range items {
			all[i] = P(&items[i])
		}
		return all, err
	}
	return &computed{core: c, kind: kind, list: objects, pause: pause, version: uint64(time.Now().UnixNano()), changed: make(chan struct{}), next: make(chan struct{})}
}

// List implements apiserver.Computed.
func (k *computed) List() ([]apiserver.Object, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.items, k.version
}

// Changed implements apiserver.Computed.
func (k *computed) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// Reach implements apiserver.Computed.
func (k *computed) Reach(ctx context.Context, rev store.Revision) store.Revision {
	for {
		of, next := k.ask(rev)
		if of >= rev {
			return of
		}
		select {
		case <-next:
		case <-ctx.Done():
			return of
		}
	}
}

// ask is the revision that the items are of. If that is older than rev, they are soon computed anew.
func (k *computed) ask(rev store.Revision) (store.Revision, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of < rev && k.hurry != nil {
		k.hurry()
	}
	return k.of, k.next
}

// follow computes until ctx ends.
func (k *computed) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		begun := time.Now()
		rest, awake := k.begin(ctx)
		v := k.core.store.View()
		_, _, news := k.core.reports.Seen()
		if items, err := k.list(v); err != nil {
			k.core.log.Error("a kind cannot be computed", "kind", k.kind, "err", err)
		} else {
			k.put(items, v.Revision())
		}
		worked := time.Since(begun)
		k.core.await(rest, decidesOn, v.Revision(), news)
		awake()
		pause.For(ctx, k.pause)
		breathe(ctx, worked)
	}
	return nil
}

// begin begins a computation. It returns the context of the rest after it, which ends when somebody asks meanwhile for what
// is newer than the state that is taken now.
func (k *computed) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	k.hurry = cancel
	return ctx, cancel
}

// put shows new items, computed from the log at a revision; the same as before are no news.
func (k *computed) put(items []apiserver.Object, of store.Revision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.of = of
	close(k.next)
	k.next = make(chan struct{})
	if equality.Semantic.DeepEqual(k.items, items) {
		return
	}
	k.items = items
	k.version++
	close(k.changed)
	k.changed = make(chan struct{})
}
