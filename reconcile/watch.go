package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// watches keeps one watch on each kind that a bundle uses, filtered to LabelBundle: nothing else of the cluster
// costs us anything.
type watches struct {
	client  dynamic.Interface
	tracker *tracker
	// changed is told of every object whose sighting changed.
	changed func(key)
	timing  Timing
	logger  *slog.Logger
	// within is the session's context: watches outlive the bundle that first used them, but not the session.
	within context.Context

	mu      sync.Mutex
	running map[schema.GroupKind]*watching
	ended   sync.WaitGroup
}

// watching is the watch on one kind.
type watching struct {
	users  map[string]bool // bundles
	cancel context.CancelFunc
	done   chan struct{}
	tried  chan struct{} // closed once the first list is in the tracker, or has failed
}

// use makes the watches of a bundle exactly those on the kinds given: it starts what is missing, and stops what
// nobody uses any more.
func (w *watches) use(bundle string, kinds map[schema.GroupKind]mapping) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for gk, r := range w.running {
		if _, wanted := kinds[gk]; wanted || !r.users[bundle] {
			continue
		}
		delete(r.users, bundle)
		if len(r.users) == 0 {
			r.cancel()
			<-r.done
			w.tracker.forget(gk)
			delete(w.running, gk)
		}
	}
	for gk, m := range kinds {
		if w.running[gk] == nil {
			w.running[gk] = w.start(gk, m)
		}
		w.running[gk].users[bundle] = true
	}
}

func (w *watches) start(gk schema.GroupKind, m mapping) *watching {
	ctx, cancel := context.WithCancel(w.within)
	r := &watching{users: map[string]bool{}, cancel: cancel, done: make(chan struct{}), tried: make(chan struct{})}
	w.ended.Go(func() {
		defer close(r.done)
		defer cancel()
		w.run(ctx, gk, m, r.tried)
	})
	return r
}

// wait returns once every watch has ended; their context must be over.
func (w *watches) wait() { w.ended.Wait() }

// await waits until the kind's objects are in the tracker, or cannot be listed now, or ctx ends.
func (w *watches) await(ctx context.Context, gk schema.GroupKind) {
	w.mu.Lock()
	r := w.running[gk]
	w.mu.Unlock()
	if r == nil {
		return
	}
	select {
	case <-r.tried:
	case <-ctx.Done():
	}
}

// run keeps a watch going until ctx ends.
func (w *watches) run(ctx context.Context, gk schema.GroupKind, m mapping, tried chan struct{}) {
	resource := w.client.Resource(m.resource)
	first := sync.OnceFunc(func() { close(tried) })
	defer first()
	wait := backoff{first: w.timing.Retry, most: 10 * time.Second}
	for ctx.Err() == nil {
		began := time.Now()
		err := w.follow(ctx, gk, resource, first)
		first()
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			wait.reset()
		}
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) && !apierrors.IsNotFound(err) {
			w.logger.Warn("watch ended", logKind, gk.String(), logError, err)
		}
		pause.For(ctx, wait.next())
	}
}

// follow lists the kind, then follows its changes until something fails. Of a kind that went before it could be watched
// no event ever tells, so that the server does not serve it counts as a list of nothing.
func (w *watches) follow(ctx context.Context, gk schema.GroupKind, resource dynamic.ResourceInterface, synced func()) error {
	list, version, err := w.list(ctx, gk, resource)
	if err != nil && !isKindGone(err) {
		return err
	}
	for _, k := range w.tracker.replace(gk, list, version) { // a kind that is not served any more took its objects along
		w.changed(k)
	}
	if err != nil {
		return err
	}
	synced()
	for {
		seconds := int64(300 + rand.IntN(300))
		stream, err := resource.Watch(ctx, metav1.ListOptions{
			LabelSelector: LabelBundle, ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
		})
		if err != nil {
			return fmt.Errorf("watch %s: %w", gk, err)
		}
		began := time.Now()
		version, err = w.drain(gk, stream, version)
		stream.Stop()
		if err != nil {
			return fmt.Errorf("watch %s: %w", gk, err)
		}
		if ctx.Err() != nil || time.Since(began) < time.Second {
			return errors.New("the server closed the watch at once")
		}
	}
}

func (w *watches) list(ctx context.Context, gk schema.GroupKind, resource dynamic.ResourceInterface) (map[key]sighting, string, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timing.Request)
	defer cancel()
	seen := map[key]sighting{}
	options := metav1.ListOptions{LabelSelector: LabelBundle, Limit: 500}
	for {
		page, err := resource.List(ctx, options)
		if err != nil {
			return map[key]sighting{}, "", fmt.Errorf("list %s: %w", gk, err)
		}
		for i := range page.Items {
			u := &page.Items[i]
			seen[keyOf(gk, u)] = sight(u)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return seen, page.GetResourceVersion(), nil
		}
	}
}

// drain takes the events of a stream until it ends, and returns the version it came to.
func (w *watches) drain(gk schema.GroupKind, stream watch.Interface, version string) (string, error) {
	for event := range stream.ResultChan() {
		if event.Type == watch.Error {
			return version, apierrors.FromObject(event.Object)
		}
		u, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return version, fmt.Errorf("unexpected %T in a watch", event.Object)
		}
		version = u.GetResourceVersion()
		k, news := keyOf(gk, u), false
		switch event.Type {
		case watch.Added, watch.Modified:
			news = w.tracker.put(k, sight(u))
		case watch.Deleted:
			news = w.tracker.drop(k, version)
		}
		if news {
			w.changed(k)
		}
	}
	return version, nil
}

func keyOf(gk schema.GroupKind, u *unstructured.Unstructured) key {
	return key{gk, u.GetNamespace(), u.GetName()}
}

// backoff is how long to wait before another attempt: doubling, with jitter.
type backoff struct {
	first, most time.Duration
	attempts    int
}

func (b *backoff) next() time.Duration {
	d := b.most
	if b.attempts < 20 {
		d = min(b.first<<b.attempts, b.most)
	}
	b.attempts++
	return d*3/4 + rand.N(d/2+1)
}

func (b *backoff) reset() { b.attempts = 0 }
