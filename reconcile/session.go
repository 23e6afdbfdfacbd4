package reconcile

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// session is what goes on while the lease is held: one goroutine for each bundle, one for each kind that is watched.
// It knows nothing at first and reads all it needs from the cluster, so that whatever happened while nobody looked is
// found and put right.
type session struct {
	timing      Timing
	logger      *slog.Logger
	board       *board
	withdrawn   func(ctx context.Context, bundle, uid string) error
	client      dynamic.Interface
	kinds       *kinds
	tracker     *tracker
	watches     *watches
	inventories *inventories
	slots       slots // held while an object is applied or deleted, or an inventory read or written

	mu      sync.RWMutex
	bundles map[string]*bundle
	granted map[string]bool // labels of the bundles
}

// run carries grants out until ctx ends, and returns when all that it started has ended.
func (s *session) run(ctx context.Context, grants *grantsNow) {
	s.watches.within, s.inventories.heads.within = ctx, ctx
	surveyed := false
	for ctx.Err() == nil {
		now, known, changed := grants.get()
		if known {
			if !surveyed {
				surveyed = true
				s.survey(ctx, now)
			}
			s.sync(ctx, now)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	s.sync(ctx, nil)
	s.watches.wait()
	s.inventories.heads.running.Wait()
}

// survey reads the inventories of what is granted in one go. When that fails, each bundle reads its own, and says why it cannot.
func (s *session) survey(ctx context.Context, grants []Grant) {
	ctx, cancel := context.WithTimeout(ctx, s.timing.Request)
	defer cancel()
	if err := s.inventories.survey(ctx, grants); err != nil {
		s.logger.Info("inventories are read one by one", logError, err)
	}
}

// sync makes the bundles those that are granted. A bundle without a grant is let go of, as it is.
func (s *session) sync(ctx context.Context, grants []Grant) {
	granted := map[string]bool{}
	wanted := map[string]bool{}
	for _, g := range grants {
		wanted[g.Bundle] = true
		granted[v1alpha1.BundleLabel(g.Bundle)] = true
	}
	s.mu.Lock()
	s.granted = granted
	var gone []*bundle
	for name, b := range s.bundles {
		if !wanted[name] {
			gone = append(gone, b)
			delete(s.bundles, name)
		}
	}
	for _, g := range grants {
		b := s.bundles[g.Bundle]
		if b == nil {
			b = s.start(ctx, g.Bundle)
			s.bundles[g.Bundle] = b
		}
		b.offer(g)
	}
	s.mu.Unlock()
	for _, b := range gone {
		b.stop()
		s.watches.use(b.name, nil)
	}
}

func (s *session) start(ctx context.Context, name string) *bundle {
	ctx, cancel := context.WithCancel(ctx)
	b := &bundle{s: s, name: name, label: v1alpha1.BundleLabel(name), mail: newMailbox(), done: make(chan struct{}), logger: s.logger.With(logBundle, name)}
	b.stop = func() {
		cancel()
		<-b.done
	}
	b.retry = backoff{first: s.timing.Retry, most: s.timing.RetryMax}
	go func() { // stop waits for it
		defer close(b.done)
		b.run(ctx)
	}()
	return b
}

// changed passes an event on to the bundles that want the object.
func (s *session) changed(k key) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := time.Now()
	for _, b := range s.bundles {
		b.mail.touch(k, now)
	}
}

// isGranted says that a label is that of a bundle that runs here.
func (s *session) isGranted(label string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.granted[label]
}

// each calls do for every item, a bounded number at a time over the whole session, and waits for all.
func each[T any](ctx context.Context, s *session, items []T, do func(i int, item T)) {
	var all sync.WaitGroup
	for i, item := range items {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			all.Wait()
			return
		}
		all.Go(func() {
			defer func() { <-s.slots }()
			do(i, item)
		})
	}
	all.Wait()
}
