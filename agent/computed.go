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
	return &computed{core: c, kind: kind, list: objects, pause: pause, version: uint64(time.Now().UnixNano()), changed: make(chan struct{})}
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

// follow computes until ctx ends.
func (k *computed) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		begun := time.Now()
		v := k.core.store.View()
		_, _, news := k.core.reports.Seen()
		if items, err := k.list(v); err != nil {
			k.core.log.Error("a kind cannot be computed", "kind", k.kind, "err", err)
		} else {
			k.put(items)
		}
		worked := time.Since(begun)
		k.core.await(ctx, decidesOn, v.Revision(), news)
		pause.For(ctx, k.pause)
		breathe(ctx, worked)
	}
	return nil
}

// put shows new items; the same as before are no news.
func (k *computed) put(items []apiserver.Object) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if equality.Semantic.DeepEqual(k.items, items) {
		return
	}
	k.items = items
	k.version++
	close(k.changed)
	k.changed = make(chan struct{})
}
