package kvstorage

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// watcher is one watch: a goroutine that pulls from the store's history and pushes to the client, no faster than
// the client reads. One that falls behind the history gets a 410.
type watcher struct {
	storage   *Storage
	key       string // exact, or a prefix
	recursive bool
	want      storage.SelectionPredicate
	bookmarks bool

	initial *store.View    // sent first, when set
	after   store.Revision // then what comes after this revision
	marked  bool           // a bookmark tells the end of the initial events

	results chan watch.Event
	cancel  context.CancelFunc
	done    chan struct{}
}

// Watch implements storage.Interface.
func (s *Storage) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	key, err := s.key(key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	w := &watcher{storage: s, key: key, recursive: opts.Recursive, want: opts.Predicate,
		bookmarks: opts.Predicate.AllowWatchBookmarks || opts.ProgressNotify,
		results:   make(chan watch.Event, 16), done: make(chan struct{})}
	if err := w.begin(ctx, opts); err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go w.run(ctx)
	flowcontrol.WatchInitialized(ctx)
	return w, nil
}

// begin finds where the watch starts.
func (w *watcher) begin(ctx context.Context, opts storage.ListOptions) error {
	rev, err := w.storage.ParseResourceVersion(opts.ResourceVersion)
	if err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", err))
	}
	if !wantsInitial(opts, rev) && rev > 0 {
		w.after = store.Revision(rev)
		return nil
	}
	v, err := w.storage.notOlderThan(ctx, opts.ResourceVersion)
	if err != nil {
		return err
	}
	w.after = v.Revision()
	if wantsInitial(opts, rev) {
		w.initial = v.View
	}
	w.marked = opts.SendInitialEvents != nil && *opts.SendInitialEvents && opts.Predicate.AllowWatchBookmarks
	return nil
}

func wantsInitial(opts storage.ListOptions, rev uint64) bool {
	if opts.SendInitialEvents == nil {
		return rev == 0
	}
	return *opts.SendInitialEvents
}

// ResultChan implements watch.Interface.
func (w *watcher) ResultChan() <-chan watch.Event { return w.results }

// Stop implements watch.Interface. When it returns, the watch's goroutine has ended.
func (w *watcher) Stop() {
	w.cancel()
	<-w.done
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	defer close(w.results)
	defer w.cancel()
	if err := w.stream(ctx); ctx.Err() == nil {
		status := statusOf(err)
		w.send(ctx, watch.Event{Type: watch.Error, Object: &status})
	}
}

func statusOf(err error) metav1.Status {
	var known apierrors.APIStatus
	if errors.Is(err, store.ErrCompacted) {
		known = apierrors.NewResourceExpired(expiredWatch)
	} else if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	return known.Status()
}

// stream sends the initial events, then follows the history until something ends it: it always returns an error.
func (w *watcher) stream(ctx context.Context) error {
	if err := w.sendInitial(ctx); err != nil {
		return err
	}
	if _, err := w.storage.reached(ctx, w.after); err != nil {
		return err
	}
	history, err := w.storage.Store.Watch(w.key, w.after)
	if err != nil {
		return err
	}
	return w.follow(ctx, history)
}

// follow sends what happens, and bookmarks in between.
func (w *watcher) follow(ctx context.Context, history *store.Watcher) error {
	due := time.Now().Add(w.storage.Timing.Bookmark)
	for {
		batch, err := w.next(ctx, history, due)
		if err == nil {
			err = w.sendBatch(ctx, batch)
		} else if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = nil // a bookmark is due
		}
		if err == nil && w.bookmarks && !time.Now().Before(due) {
			due = time.Now().Add(w.storage.Timing.Bookmark)
			err = w.sendBookmark(ctx, false)
		}
		if err != nil {
			return err
		}
	}
}

// next waits for what comes next, until the bookmark is due.
func (w *watcher) next(ctx context.Context, history *store.Watcher, bookmark time.Time) (store.Batch, error) {
	if !w.bookmarks {
		return history.Next(ctx)
	}
	bounded, cancel := context.WithDeadline(ctx, bookmark)
	defer cancel()
	return history.Next(bounded)
}

func (w *watcher) sendInitial(ctx context.Context) error {
	if w.initial != nil {
		for kv := range w.initial.Iterate(w.key, "") {
			if err := w.sendObject(ctx, kv); err != nil {
				return err
			}
		}
		w.initial = nil // let it go: it holds the whole state
	}
	if w.marked {
		return w.sendBookmark(ctx, true)
	}
	return nil
}

// sendObject sends an object that was there before the watch: of its own, as nobody else is sent it now.
func (w *watcher) sendObject(ctx context.Context, kv store.KV) error {
	if !w.covers(kv.Key) {
		return nil
	}
	obj, err := w.storage.decodeNew(kv.Value, kv.Modified)
	if err != nil || !matches(w.want, obj) {
		return err
	}
	return w.send(ctx, watch.Event{Type: watch.Added, Object: obj})
}

// covers says that a key under the watch's own is watched, too: not if one key is.
func (w *watcher) covers(key string) bool { return w.recursive || key == w.key }

func (w *watcher) sendBatch(ctx context.Context, batch store.Batch) error {
	for _, e := range batch.Events {
		if err := w.sendEvent(ctx, e, batch.Revision); err != nil {
			return err
		}
	}
	w.after = batch.Revision
	return nil
}

func (w *watcher) sendBookmark(ctx context.Context, initialEnd bool) error {
	obj := w.storage.New()
	if err := w.storage.UpdateObject(obj, uint64(w.after)); err != nil {
		return fmt.Errorf("make bookmark: %w", err)
	}
	if initialEnd {
		if err := storage.AnnotateInitialEventsEndBookmark(obj); err != nil {
			return fmt.Errorf("make bookmark: %w", err)
		}
	}
	return w.send(ctx, watch.Event{Type: watch.Bookmark, Object: obj})
}

func (w *watcher) sendEvent(ctx context.Context, e store.Event, rev store.Revision) error {
	if !w.covers(e.Key) {
		return nil
	}
	event, err := w.event(e, rev)
	if err != nil || event.Object == nil {
		return err
	}
	return w.send(ctx, event)
}

// event is what a change means to a client that sees only the objects it selected: to it, an object that begins to
// match is new, and one that no longer does is gone. Without an object there is nothing to tell.
func (w *watcher) event(e store.Event, rev store.Revision) (watch.Event, error) {
	var now, before runtime.Object
	var err error
	if e.Value != nil {
		now, err = w.selected(sighting{e.Key, e.Value.Modified, false}, e.Value)
	}
	if e.Prev != nil && err == nil && !(now != nil && w.want.Empty()) {
		before, err = w.selected(sighting{e.Key, rev, true}, e.Prev) // an object that is gone carries the revision at which it went
	}
	switch {
	case err != nil:
		return watch.Event{}, err
	case now != nil && (before != nil || e.Prev != nil && w.want.Empty()):
		return watch.Event{Type: watch.Modified, Object: now}, nil
	case now != nil:
		return watch.Event{Type: watch.Added, Object: now}, nil
	case before != nil:
		return watch.Event{Type: watch.Deleted, Object: before}, nil
	}
	return watch.Event{}, nil
}

// selected is the object of a key if the client selected it, else nil.
func (w *watcher) selected(at sighting, kv *store.KV) (runtime.Object, error) {
	obj, err := w.storage.recent.get(at, kv.Value, func() (runtime.Object, error) { return w.storage.decodeNew(kv.Value, at.rev) })
	if err != nil || !matches(w.want, obj.Object) {
		return nil, err
	}
	return obj, nil
}

func (w *watcher) send(ctx context.Context, e watch.Event) error {
	select {
	case w.results <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
