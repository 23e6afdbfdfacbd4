package drill

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// load is people who write through several members at once.
type load struct {
	writers []*writer
	stop    func()
}

// writeThrough lets people write through members until the test ends, or stop is called.
func (r *realm) writeThrough(t *testing.T, names ...string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	l := &load{stop: sync.OnceFunc(func() { cancel(); group.Wait() })}
	t.Cleanup(l.stop)
	for _, name := range names {
		config := r.seat(t, name).rest()
		config.Timeout = goesOn / 2
		w, err := newWriter(name, config, 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		l.writers = append(l.writers, w)
		group.Go(func() { w.run(ctx) })
	}
	return l
}

// goesOn waits until every survivor's writer has written something that it had not yet when this was called.
func (l *load) goesOn(t *testing.T, r *realm) {
	t.Helper()
	begun := time.Now()
	for _, w := range l.writers {
		if r.lost(t, w.name) {
			continue
		}
		had := len(w.written())
		until(t, goesOn, func(context.Context) error {
			if len(w.written()) == had {
				return fmt.Errorf("no write through %s: %w", w.name, w.lastError())
			}
			return nil
		})
	}
	t.Logf("writes go on through every survivor after %s", round(time.Since(begun)))
}

// allThere ends the load and checks that every member has all that was acknowledged.
func (l *load) allThere(t *testing.T, r *realm) {
	t.Helper()
	l.stop()
	for _, m := range r.survivors() {
		for _, w := range l.writers {
			if lost := w.lost(t, m.rest()); len(lost) > 0 {
				t.Errorf("%s: %d of %d writes that %s acknowledged are not there: %q", m.name, len(lost), len(w.written()), w.name, lost)
			}
		}
	}
}
