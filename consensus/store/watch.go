package store

import "context"

// Event is one key that changed. Exactly one of Value and Prev is nil when it was deleted or created.
type Event struct {
	Key string
	// Value is nil when the key was deleted.
	Value *KV
	// Prev is the key as it was before, nil when it was not there.
	Prev *KV
}

// Batch is what one revision changed, or a sign of progress: without events, it says that nothing under the prefix
// changed up to its revision.
type Batch struct {
	Revision Revision
	Events   []Event
}

// Watcher is a cursor over the history. It holds no buffer and need not be closed. It is for one goroutine; a copy is a cursor
// of its own that stands at the same place.
type Watcher struct {
	history *history
	prefix  string
	after   Revision
	era     int
}

// Watch returns a cursor that stands behind the revision after and sees every change of keys with the prefix. The
// error is ErrCompacted when the history begins later, and ErrFuture when there is no such revision yet.
func (s *Store) Watch(prefix string, after Revision) (*Watcher, error) {
	h := s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case after < h.base:
		return nil, ErrCompacted
	case after > h.latest():
		return nil, ErrFuture
	}
	if s.faults.WatchSkips && after < h.latest() {
		after++
	}
	return &Watcher{history: h, prefix: prefix, after: after, era: h.era}, nil
}

// Next returns the next revision that changed something under the prefix, or progress when others did; it waits
// while there is nothing new. A View taken afterwards is at the batch's revision or later. The error is ctx's, or
// ErrCompacted, then and ever after, when the watcher fell behind the history.
func (w *Watcher) Next(ctx context.Context) (Batch, error) {
	for {
		changes, changed, err := w.advance()
		if err != nil {
			return Batch{}, err
		}
		if changed == nil {
			return Batch{Revision: w.after, Events: events(changes)}, nil
		}
		select {
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		case <-changed:
		}
	}
}

// advance moves the cursor to the next revision worth telling, or returns a channel to wait on.
func (w *Watcher) advance() ([]change, <-chan struct{}, error) {
	h := w.history
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := w.reach(); err != nil {
		return nil, nil, err
	}
	if w.after == h.latest() {
		return nil, h.changed, nil
	}
	for _, r := range h.records[w.after-h.base:] {
		w.after = r.revision
		if found := r.matching(w.prefix); len(found) > 0 {
			return found, nil, nil
		}
	}
	return nil, nil, nil
}

// reach says whether the cursor still stands in the history. It needs the lock. A Restore keeps only the cursors
// that stood at the very revision it brought.
func (w *Watcher) reach() error {
	h := w.history
	if w.era == h.era-1 && w.after == h.restored {
		w.era = h.era
	}
	if w.era != h.era || w.after < h.base {
		return ErrCompacted
	}
	return nil
}

func events(changes []change) []Event {
	if len(changes) == 0 {
		return nil
	}
	all := make([]Event, len(changes))
	for i, c := range changes {
		all[i] = Event{Key: c.key, Value: optional(c.entry), Prev: optional(c.prev)}
	}
	return all
}

func optional(e *entry) *KV {
	if e == nil {
		return nil
	}
	kv := e.kv()
	return &kv
}
