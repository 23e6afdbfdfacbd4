package kvstorage

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/consensus/store"
)

const (
	// maxPost is what the events weigh that are told at once, unless it is one.
	maxPost = 64 << 10
	// breath is how long a watch that has told something waits for more: of many changes, several are told at once.
	breath = 25 * time.Millisecond
)

// place is where a watch stands: what the cursor finds is to be told, but so many events of its first revision.
type place struct {
	after  store.Revision
	cursor store.Watcher
	told   int
}

// news is what a watch has found and its client may have to be told.
type news struct {
	findings []finding
	weight   int
	more     bool   // there was no room for all
	told     func() // the watch stands behind them
}

// finding is an event, and the revision it belongs to.
type finding struct {
	store.Event
	rev store.Revision
}

// add takes an event, unless there are enough already.
func (n *news) add(e store.Event, rev store.Revision, most int) bool {
	weight := weight(max(size(e.Value), size(e.Prev)))
	if len(n.findings) > 0 && n.weight+weight > most {
		n.more = true
		return false
	}
	n.findings = append(n.findings, finding{e, rev})
	n.weight += weight
	return true
}

func size(kv *store.KV) int {
	if kv == nil {
		return 0
	}
	return len(kv.Value)
}

// remember finds what was there before the watch.
func (w *watcher) remember(_ context.Context, most int) (n news, err error) {
	cursor := w.at.cursor
	if _, err := cursor.Next(over); errors.Is(err, store.ErrCompacted) {
		return n, err // it could not go on afterwards, and keeps in memory what nobody else needs
	}
	n.told = func() { w.initial = nil } // it holds the whole state
	for kv := range w.initial.Iterate(w.key, w.from) {
		if w.covers(kv.Key) && !n.add(store.Event{Key: kv.Key, Value: &kv}, kv.Modified, most) {
			n.told = func() { w.from = kv.Key }
			break
		}
	}
	return n, nil
}

// covers says that a key under the watch's own is watched, too: not if one key is.
func (w *watcher) covers(key string) bool { return w.recursive || key == w.key }

// hear finds what happened since, and waits for it until the bookmark is due.
func (w *watcher) hear(ctx context.Context, most int) (n news, err error) {
	if w.bookmarks {
		bounded, cancel := context.WithDeadline(ctx, w.due)
		defer cancel()
		ctx = bounded
	}
	at := w.at
	n.told = func() { w.at = at }
	for {
		cursor := at.cursor
		batch, err := cursor.Next(ctx)
		if len(n.findings) > 0 && err != nil {
			return n, nil // that is all, for now
		}
		if err != nil {
			return n, err
		}
		for _, e := range batch.Events[at.told:] {
			if w.covers(e.Key) && !n.add(e, batch.Revision, most) {
				return n, nil
			}
			at.told++
		}
		at = place{after: batch.Revision, cursor: cursor}
		if len(n.findings) == 0 {
			return n, nil
		}
		ctx = over // what else there is, without waiting
	}
}

// over is a context that is done.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// finder finds news that weigh so much at most, or one event. As long as they are not told it finds the same.
type finder func(ctx context.Context, most int) (news, error)

// tell tells what is found once there is room for it.
func (w *watcher) tell(ctx context.Context, find finder) (news, error) {
	n, giveBack, err := w.withRoom(ctx, find)
	if err != nil {
		return n, err
	}
	defer giveBack()
	if err := w.sendAll(ctx, n.findings); err != nil {
		return n, err
	}
	n.told()
	return n, nil
}

// withRoom finds news, and the room that they take. Who has to wait for it holds nothing meanwhile, and finds them again.
func (w *watcher) withRoom(ctx context.Context, find finder) (n news, giveBack func(), err error) {
	n, err = find(ctx, maxPost)
	if err != nil || len(n.findings) == 0 {
		return n, func() {}, err
	}
	room, most := w.storage.Audience.room, n.weight
	if giveBack, ok := room.Now(ctx, most); ok {
		return n, giveBack, nil
	}
	n = news{}
	if giveBack, err = room.Wait(ctx, most); err != nil {
		return n, nil, err
	}
	if n, err = find(ctx, most); err != nil {
		giveBack()
	}
	return n, giveBack, err
}

// telling is what an event means to a client.
type telling struct {
	kind watch.EventType
	*shared
}

// sendAll sends what changes mean to this client.
func (w *watcher) sendAll(ctx context.Context, findings []finding) error {
	var all []telling
	var broken error
	for _, c := range findings {
		t, err := w.meaning(c)
		if broken = err; err != nil {
			break // what was before it is sent
		}
		if t.shared != nil {
			all = append(all, t)
		}
	}
	for len(all) > 0 {
		p := newPost(all, !w.spoken)
		w.spoken = true
		if err := w.sendPost(ctx, p); err != nil {
			return err
		}
		all = all[len(p.tellings):]
	}
	return broken
}

// sendPost returns when the post was taken.
func (w *watcher) sendPost(ctx context.Context, p *post) error {
	if err := w.send(ctx, watch.Event{Type: p.tellings[0].kind, Object: p}); err != nil {
		return err
	}
	select {
	case <-p.taken:
		return nil
	case <-w.stopped:
		return ctx.Err()
	}
}

// meaning is what a change means to a client that sees only the objects it selected: to it, an object that begins to
// match is new, and one that no longer does is gone. Without an object there is nothing to tell.
func (w *watcher) meaning(c finding) (t telling, err error) {
	var now, before *shared
	if c.Value != nil {
		if now, err = w.selected(sighting{c.Key, c.Value.Modified, false}, c.Value); err != nil {
			return t, err
		}
	}
	known := c.Prev != nil && w.want.Empty() // whatever it was, it was selected
	if c.Prev != nil && !(now != nil && known) {
		// An object that is gone carries the revision at which it went.
		if before, err = w.selected(sighting{c.Key, c.rev, true}, c.Prev); err != nil {
			return t, err
		}
	}
	switch {
	case now == nil:
		return telling{watch.Deleted, before}, nil
	case before != nil || known:
		return telling{watch.Modified, now}, nil
	}
	return telling{watch.Added, now}, nil
}

// selected is the object of a key if the client selected it, else nil.
func (w *watcher) selected(at sighting, kv *store.KV) (*shared, error) {
	obj, err := w.storage.Audience.see(at, len(kv.Value), func() (runtime.Object, error) { return w.storage.decodeNew(kv.Value, at.rev) })
	if err != nil {
		return nil, w.storage.unreadable(kv.Key, err)
	}
	if !matches(w.want, obj.Object) {
		return nil, nil
	}
	return obj, nil
}
