package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

func (b Batch) String() string {
	s := fmt.Sprint(b.Revision)
	for _, e := range b.Events {
		s += " " + e.Key
		for _, kv := range []*KV{e.Prev, e.Value} {
			if kv == nil {
				s += ":-"
			} else {
				s += fmt.Sprintf(":%s@%d", kv.Value, kv.Modified)
			}
		}
	}
	return s
}

// drain reads what is there, and stops where Next would wait.
func drain(t *testing.T, w *Watcher) (all []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		b, err := w.Next(ctx)
		if errors.Is(err, context.Canceled) {
			return all
		}
		if err != nil {
			return append(all, err.Error())
		}
		all = append(all, b.String())
	}
}

func watch(t *testing.T, s *Store, prefix string, after Revision) *Watcher {
	t.Helper()
	w, err := s.Watch(prefix, after)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWatch(t *testing.T) {
	f := newFixture(t)
	f.do(Put("/a/1", []byte("x")))
	f.do(Put("/b/1", nil))
	f.do(Put("/a/1", []byte("y")), Put("/b/2", nil), Put("/a/0", nil))
	f.do(Delete("/a/1"), Delete("/none"))
	f.do(Put("/b/3", nil))
	f.do(Put("/b/4", nil))
	for _, tt := range []struct {
		name   string
		prefix string
		after  Revision
		want   []string
	}{
		{"tells every change under the prefix, then how far it is", "/a/", 0,
			[]string{"1 /a/1:-:x@1", "3 /a/1:x@1:y@3 /a/0:-:@3", "4 /a/1:y@3:-", "6"}},
		{"begins behind a revision", "/a/", 3, []string{"4 /a/1:y@3:-", "6"}},
		{"tells progress only where nothing matches", "/c/", 1, []string{"6"}},
		{"waits at the latest revision", "/a/", 6, nil},
		{"ends with a change when the last one matches", "/b/4", 4, []string{"6 /b/4:-:@6"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, drain(t, watch(t, f.Store, tt.prefix, tt.after))); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("refuses the future", func(t *testing.T) {
		if _, err := f.Watch("", 7); !errors.Is(err, ErrFuture) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWatchIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bound func(h *history)
		size  int
		want  int
	}{
		{"by the number of events", func(h *history) { h.maxEvents = 10 }, 1, 5},
		{"by their size", func(h *history) { h.maxBytes = 4096 }, 500, 4},
		{"but keeps the latest revision, however large", func(h *history) { h.maxBytes = 10 }, 500, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			tt.bound(f.history)
			slow := watch(t, f.Store, "/", 0)
			for i := range 20 {
				f.do(Put(fmt.Sprintf("/%d/a", i), make([]byte, tt.size)), Put(fmt.Sprintf("/%d/b", i), nil))
			}
			if n := len(f.history.records); n > 2*tt.want || n < tt.want {
				t.Errorf("%d revisions are kept", n)
			}
			for range 2 {
				if _, err := slow.Next(t.Context()); !errors.Is(err, ErrCompacted) {
					t.Errorf("a watcher that fell behind got %v", err)
				}
			}
			if _, err := f.Watch("/", f.history.base-1); !errors.Is(err, ErrCompacted) {
				t.Errorf("a watch from before the history got %v", err)
			}
			if got := drain(t, watch(t, f.Store, "/", f.history.base)); len(got) != len(f.history.records) {
				t.Errorf("a watch from its beginning got %d batches", len(got))
			}
		})
	}
}

func TestWatchOverRestore(t *testing.T) {
	f := newFixture(t)
	f.do(Put("/a", nil))
	early := snapshot(t, f.Store)
	f.do(Put("/b", nil))
	late := snapshot(t, f.Store)

	restore := func(s *Store, data []byte) {
		if err := s.Restore(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("goes on where the snapshot is", func(t *testing.T) {
		g := &fixture{TB: t, Store: restored(t, nil, early), term: 1, seq: 10}
		w := watch(t, g.Store, "", 1)
		restore(g.Store, early)
		g.do(Put("/c", nil))
		if diff := cmp.Diff([]string{"2 /c:-:@2"}, drain(t, w)); diff != "" {
			t.Error(diff)
		}
	})
	for _, tt := range []struct {
		name     string
		at, data []byte
	}{
		{"ends before a later snapshot", early, late},
		{"ends behind an earlier snapshot", late, early},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &fixture{TB: t, Store: restored(t, nil, tt.at), term: 1, seq: 10}
			w := watch(t, g.Store, "", g.View().Revision())
			restore(g.Store, tt.data)
			g.do(Put("/c", nil))
			g.do(Put("/c", nil))
			if diff := cmp.Diff([]string{ErrCompacted.Error()}, drain(t, w)); diff != "" {
				t.Error(diff)
			}
			if _, err := g.Watch("", 0); !errors.Is(err, ErrCompacted) {
				t.Errorf("a watch from before the snapshot: %v", err)
			}
		})
	}
	t.Run("ends over two restores, even of its own revision", func(t *testing.T) {
		g := restored(t, nil, early)
		w := watch(t, g, "", 1)
		restore(g, early)
		restore(g, early)
		if diff := cmp.Diff([]string{ErrCompacted.Error()}, drain(t, w)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWaiting(t *testing.T) {
	t.Run("a watcher wakes for a change", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			f := newFixture(t)
			w := watch(t, f.Store, "/a", 0)
			got := make(chan string, 1)
			go func() {
				b, _ := w.Next(t.Context())
				got <- b.String()
			}()
			synctest.Wait()
			f.do(Put("/a", nil))
			if s := <-got; s != "1 /a:-:@1" {
				t.Errorf("got %s", s)
			}
		})
	})
	t.Run("WaitFor returns at its revision, not before", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			f := newFixture(t)
			done := make(chan error, 1)
			go func() { done <- f.WaitFor(t.Context(), 2) }()
			f.do(Put("/a", nil))
			synctest.Wait()
			if len(done) > 0 {
				t.Error("it did not wait")
			}
			f.do(Put("/a", nil))
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("WaitFor wakes for a restore", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			f := newFixture(t)
			f.do(Put("/a", nil))
			g := New(nil)
			done := make(chan error, 1)
			go func() { done <- g.WaitFor(t.Context(), 1) }()
			synctest.Wait()
			if err := g.Restore(bytes.NewReader(snapshot(t, f.Store))); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("WaitFor gives up with its context, but not when the revision is there", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := New(nil).WaitFor(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := New(nil).WaitFor(ctx, 0); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// strikes is an Authorizer by whose word whoever deletes /x/ forgets.
type strikes struct{}

func (strikes) Authorize(*View, Asker, Txn) error { return nil }

func (strikes) Forgets(who Asker, txn Txn) bool {
	return who.Person != "" && txn.Then[0].Delete && txn.Then[0].Key == "/x/"
}

func TestWhatIsForgottenIsToldByNoWatch(t *testing.T) {
	f := newFixture(t)
	f.Store = New(strikes{})
	f.do(Put("/x/", []byte("secret")))
	before := f.do(Put("/a/1", nil))
	standing := watch(t, f.Store, "/a/", before)
	strike := f.command(Txn{Then: []Op{Delete("/x/")}})
	later := f.command(Txn{Then: []Op{Put("/a/2", nil)}}) // in the same entry
	if strike.Person = "anna"; f.apply(strike, later)[1].Err != nil {
		t.Fatal("not applied")
	}
	at := before + 1
	for after := range at {
		if _, err := f.Store.Watch("/", after); !errors.Is(err, ErrCompacted) {
			t.Errorf("a watch begins at %d: %v", after, err)
		}
	}
	if got := drain(t, standing); len(got) != 1 || got[0] != ErrCompacted.Error() {
		t.Errorf("a watch that stood before it is told %s", got)
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("%d /a/2:-:@%d", at+1, at+1)}, drain(t, watch(t, f.Store, "/", at))); diff != "" {
		t.Error(diff)
	}
	f.do(Put("/x/", nil))
	f.do(Delete("/x/")) // by nobody who forgets
	if got := drain(t, watch(t, f.Store, "/", at+1)); len(got) != 2 {
		t.Errorf("then it is told %s", got)
	}
}
