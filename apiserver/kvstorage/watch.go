package kvstorage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// watcher is one watch: a goroutine that reads the store's history and tells its client what it finds, one post at a time.
// One that falls behind the history gets a 410. While it waits for its client it holds that post, and while it waits for
// room nothing but a place in the history.
type watcher struct {
	storage   *Storage
	key       string // exact, or a prefix
	recursive bool
	want      storage.SelectionPredicate
	bookmarks bool

	initial *store.View // told first, when set
	from    string      // the first key of it that was not told yet
	marked  bool        // a bookmark tells the end of the initial events

	at     place
	spoken bool      // the client was sent an event
	due    time.Time // of the next bookmark

	results chan watch.Event
	stopped chan struct{} // closed by Stop
	cancel  func()
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
		results:   make(chan watch.Event), stopped: make(chan struct{}), done: make(chan struct{})}
	if err := w.begin(ctx, opts); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w.cancel = sync.OnceFunc(func() { cancel(); close(w.stopped) })
	s.Audience.enter()
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
		w.at.after = store.Revision(rev)
		return nil
	}
	v, err := w.storage.notOlderThan(ctx, opts.ResourceVersion)
	if err != nil {
		return err
	}
	w.at.after = v.Revision()
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

// Stop implements watch.Interface. When it returns, the watch's goroutine has ended, and what was under way is let go.
func (w *watcher) Stop() {
	w.cancel()
	<-w.done
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	defer close(w.results)
	defer w.storage.Audience.exit()
	err := w.stream(ctx)
	if ctx.Err() != nil {
		return
	}
	status := statusOf(err)
	w.send(ctx, watch.Event{Type: watch.Error, Object: &status})
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

// stream tells the initial events, then follows the history until something ends it: it always returns an error.
func (w *watcher) stream(ctx context.Context) error {
	if err := w.stand(ctx); err != nil {
		return err
	}
	for w.initial != nil {
		if _, err := w.tell(ctx, w.remember); err != nil {
			return err
		}
	}
	if w.marked {
		if err := w.sendBookmark(ctx, true); err != nil {
			return err
		}
	}
	w.due = time.Now().Add(w.storage.Timing.Bookmark)
	for {
		if err := w.follow(ctx); err != nil {
			return err
		}
	}
}

// stand finds the watch's place in the history.
func (w *watcher) stand(ctx context.Context) error {
	if _, err := w.storage.reached(ctx, w.at.after); err != nil {
		return err
	}
	cursor, err := w.storage.Store.Watch(w.key, w.at.after)
	if err == nil {
		w.at.cursor = *cursor
	}
	return err
}

// follow tells what happens next, and a bookmark when one is due.
func (w *watcher) follow(ctx context.Context) error {
	heard, err := w.tell(ctx, w.hear)
	if err != nil && !(errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil) { // that means that a bookmark is due
		return err
	}
	if w.bookmarks && w.at.told == 0 && !time.Now().Before(w.due) {
		w.due = time.Now().Add(w.storage.Timing.Bookmark)
		return w.sendBookmark(ctx, false)
	}
	if len(heard.findings) > 0 && !heard.more {
		pause.For(ctx, breath)
	}
	return nil
}

func (w *watcher) sendBookmark(ctx context.Context, initialEnd bool) error {
	obj := w.storage.New()
	if err := w.storage.UpdateObject(obj, uint64(w.at.after)); err != nil {
		return fmt.Errorf("make bookmark: %w", err)
	}
	if initialEnd {
		if err := storage.AnnotateInitialEventsEndBookmark(obj); err != nil {
			return fmt.Errorf("make bookmark: %w", err)
		}
	}
	return w.send(ctx, watch.Event{Type: watch.Bookmark, Object: obj})
}

func (w *watcher) send(ctx context.Context, e watch.Event) error {
	select {
	case w.results <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
