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
// the client reads. One that falls behind the history gets a 410. While it waits for its client, or for room, it holds
// nothing but a place in the history.
type watcher struct {
	storage   *Storage
	key       string // exact, or a prefix
	recursive bool
	want      storage.SelectionPredicate
	bookmarks bool

	initial *store.View // sent first, when set
	from    string      // the first key of it that was not sent yet
	marked  bool        // a bookmark tells the end of the initial events

	after   store.Revision // what comes after it is sent,
	sent    int            // but so many events of the next batch
	history *store.Watcher // stands behind after; nil: it is to be opened
	due     time.Time      // of the next bookmark

	lacks   int    // the room that the next event did not find
	room    func() // gives back the room that was waited for; it is for the next event
	outbox  *outbox
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
		outbox:    newOutbox(), results: make(chan watch.Event, maxOut+2), done: make(chan struct{})}
	if err := w.begin(ctx, opts); err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
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

// Stop implements watch.Interface. When it returns, the watch's goroutine has ended, and what was under way is let go.
func (w *watcher) Stop() {
	w.cancel()
	<-w.done
	w.outbox.clear()
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	defer close(w.results)
	defer w.storage.Audience.exit()
	defer w.cancel()
	err := w.stream(ctx)
	w.giveBack()
	if ctx.Err() != nil {
		w.outbox.clear()
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

// stream sends the initial events, then follows the history until something ends it: it always returns an error.
func (w *watcher) stream(ctx context.Context) error {
	if err := w.sendInitial(ctx); err != nil {
		return err
	}
	if _, err := w.storage.reached(ctx, w.after); err != nil {
		return err
	}
	w.due = time.Now().Add(w.storage.Timing.Bookmark)
	for {
		if err := w.waitForRoom(ctx); err != nil {
			return err
		}
		if err := w.follow(ctx); err != nil {
			return err
		}
	}
}

// follow sends what happens next, or as much of it as there is room for, and a bookmark when one is due.
func (w *watcher) follow(ctx context.Context) error {
	batch, err := w.next(ctx)
	switch {
	case err == nil:
		err = w.sendBatch(ctx, batch)
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		err = nil // a bookmark is due
	}
	if err == nil && w.bookmarks && w.sent == 0 && !time.Now().Before(w.due) {
		w.due = time.Now().Add(w.storage.Timing.Bookmark)
		err = w.sendBookmark(ctx, false)
	}
	return err
}

// next waits for what comes next, until the bookmark is due.
func (w *watcher) next(ctx context.Context) (store.Batch, error) {
	if w.history == nil {
		history, err := w.storage.Store.Watch(w.key, w.after)
		if err != nil {
			return store.Batch{}, err
		}
		w.history = history
	}
	if !w.bookmarks {
		return w.history.Next(ctx)
	}
	bounded, cancel := context.WithDeadline(ctx, w.due)
	defer cancel()
	return w.history.Next(bounded)
}

// waitForRoom returns when another event may be sent; when the last one found no room, with that.
func (w *watcher) waitForRoom(ctx context.Context) (err error) {
	if err := w.outbox.wait(ctx); err != nil || w.lacks == 0 {
		return err
	}
	w.room, err = w.storage.Audience.room.Wait(ctx, w.lacks)
	return err
}

// take takes the room of an event; false when there is none, or too much is under way: it is to be waited for.
func (w *watcher) take(ctx context.Context, n int) (giveBack func(), ok bool) {
	if w.room != nil && w.lacks >= n {
		giveBack = w.room
		w.room, w.lacks = nil, 0
		return giveBack, true
	}
	w.giveBack()
	if w.outbox.open() {
		if giveBack, ok = w.storage.Audience.room.Now(ctx, n); ok {
			return giveBack, true
		}
		w.lacks = n
	}
	w.history = nil // what it has read is read again
	return nil, false
}

// giveBack gives back the room that was waited for.
func (w *watcher) giveBack() {
	if w.room != nil {
		w.room()
	}
	w.room, w.lacks = nil, 0
}

func (w *watcher) sendInitial(ctx context.Context) error {
	for w.initial != nil {
		if err := w.sendSome(ctx); err != nil {
			return err
		}
		if w.initial == nil {
			break
		}
		if err := w.waitForRoom(ctx); err != nil {
			return err
		}
		if _, err := w.storage.Store.Watch(w.key, w.after); errors.Is(err, store.ErrCompacted) {
			return err // it could not go on afterwards, and keeps in memory what nobody else needs
		}
	}
	if w.marked {
		return w.sendBookmark(ctx, true)
	}
	return nil
}

// sendSome sends what was there before the watch, as much as there is room for.
func (w *watcher) sendSome(ctx context.Context) error {
	for kv := range w.initial.Iterate(w.key, w.from) {
		if sent, err := w.sendObject(ctx, kv); err != nil || !sent {
			w.from = kv.Key
			return err
		}
	}
	w.initial = nil // let it go: it holds the whole state
	return nil
}

// sendObject sends an object that was there before the watch; false when there is no room.
func (w *watcher) sendObject(ctx context.Context, kv store.KV) (bool, error) {
	if !w.covers(kv.Key) {
		return true, nil
	}
	return w.sendSized(ctx, len(kv.Value), func() (watch.EventType, *shared, error) {
		obj, err := w.selected(sighting{kv.Key, kv.Modified, false}, &kv, false)
		return watch.Added, obj, err
	})
}

// sendSized sends what a value of that size tells this client, if anything; false when there is no room.
func (w *watcher) sendSized(ctx context.Context, size int, event func() (watch.EventType, *shared, error)) (bool, error) {
	n := weight(size)
	giveBack, ok := w.take(ctx, n)
	if !ok {
		return false, nil
	}
	kind, obj, err := event()
	if err != nil || obj == nil {
		giveBack()
		return true, err
	}
	return true, w.send(ctx, watch.Event{Type: kind, Object: w.outbox.pack(obj, n, giveBack)})
}

// covers says that a key under the watch's own is watched, too: not if one key is.
func (w *watcher) covers(key string) bool { return w.recursive || key == w.key }

// sendBatch sends what was not sent of a batch yet, as much as there is room for.
func (w *watcher) sendBatch(ctx context.Context, batch store.Batch) error {
	for _, e := range batch.Events[min(w.sent, len(batch.Events)):] {
		if sent, err := w.sendEvent(ctx, e, batch.Revision); err != nil || !sent {
			return err
		}
		w.sent++
	}
	w.after, w.sent = batch.Revision, 0
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

func (w *watcher) sendEvent(ctx context.Context, e store.Event, rev store.Revision) (bool, error) {
	if !w.covers(e.Key) {
		return true, nil
	}
	return w.sendSized(ctx, max(size(e.Value), size(e.Prev)), func() (watch.EventType, *shared, error) { return w.event(e, rev) })
}

func size(kv *store.KV) int {
	if kv == nil {
		return 0
	}
	return len(kv.Value)
}

// event is what a change means to a client that sees only the objects it selected: to it, an object that begins to
// match is new, and one that no longer does is gone. Without an object there is nothing to tell.
func (w *watcher) event(e store.Event, rev store.Revision) (kind watch.EventType, obj *shared, err error) {
	var now, before *shared
	if e.Value != nil {
		if now, err = w.selected(sighting{e.Key, e.Value.Modified, false}, e.Value, true); err != nil {
			return "", nil, err
		}
	}
	known := e.Prev != nil && w.want.Empty() // whatever it was, it was selected
	if e.Prev != nil && !(now != nil && known) {
		// An object that is gone carries the revision at which it went.
		if before, err = w.selected(sighting{e.Key, rev, true}, e.Prev, true); err != nil {
			w.unused(now)
			return "", nil, err
		}
	}
	if now == nil {
		return watch.Deleted, before, nil
	}
	defer w.unused(before)
	if before != nil || known {
		return watch.Modified, now, nil
	}
	return watch.Added, now, nil
}

// selected is the object of a key if the client selected it, else nil. It is in use.
func (w *watcher) selected(at sighting, kv *store.KV, keep bool) (*shared, error) {
	obj, err := w.storage.Audience.use(at, len(kv.Value), keep, func() (runtime.Object, error) { return w.storage.decodeNew(kv.Value, at.rev) })
	if err != nil {
		return nil, err
	}
	if !matches(w.want, obj.Object) {
		w.unused(obj)
		return nil, nil
	}
	return obj, nil
}

func (w *watcher) unused(s *shared) {
	if s != nil {
		w.storage.Audience.leave(s)
	}
}

func (w *watcher) send(ctx context.Context, e watch.Event) error {
	select {
	case w.results <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
