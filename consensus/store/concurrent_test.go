package store

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadersAndWatchers runs everything that may run at once beside Apply. Each entry keeps /x and /y equal, so a
// reader that sees half of one notices.
func TestReadersAndWatchers(t *testing.T) {
	const revisions = 300
	f := newFixture(t)
	big := f.upload(Txn{Then: []Op{Put("/x", noise(150<<10, 1)), Put("/y", noise(150<<10, 1))}})
	var wg sync.WaitGroup
	start := func(name string, run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for range 3 {
		start("reader", func() error {
			for {
				v := f.View()
				x, _ := v.Get("/x")
				y, _ := v.Get("/y")
				if !bytes.Equal(x.Value, y.Value) {
					return fmt.Errorf("half of revision %d", v.Revision())
				}
				if v.Revision() >= revisions {
					return nil
				}
				if err := f.WaitFor(t.Context(), v.Revision()+1); err != nil {
					return err
				}
			}
		})
		w := watch(t, f.Store, "/x", 0)
		start("watcher", func() error {
			for at := Revision(0); at < revisions; {
				b, err := w.Next(t.Context())
				if err != nil {
					return err
				}
				if b.Revision <= at || f.View().Revision() < b.Revision {
					return fmt.Errorf("batch %d after %d, at %d", b.Revision, at, f.View().Revision())
				}
				at = b.Revision
				for _, e := range b.Events {
					if e.Value != nil && e.Value.Modified != at {
						return fmt.Errorf("revision %d told in batch %d", e.Value.Modified, at)
					}
				}
			}
			return nil
		})
	}
	start("snapshots", func() error {
		for f.View().Revision() < revisions {
			var b bytes.Buffer
			if _, err := f.Snapshot().WriteTo(&b); err != nil {
				return err
			}
			if err := New(nil).Restore(&b); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range revisions {
		switch i % 3 {
		case 0:
			f.do(big.Then...)
			big = f.upload(Txn{Then: []Op{Put("/x", noise(150<<10, uint64(i))), Put("/y", noise(150<<10, uint64(i)))}})
		case 1:
			f.do(Put("/x", fmt.Append(nil, i)), Put("/y", fmt.Append(nil, i)))
		case 2:
			f.do(Delete("/x"), Delete("/y"))
		}
	}
	wg.Wait()
}

// TestRestoreBesideReaders replaces the state again and again under readers and watchers.
func TestRestoreBesideReaders(t *testing.T) {
	f := newFixture(t)
	f.do(Put("/x", []byte("1")))
	data := snapshot(t, f.Store)
	f.do(Put("/x", []byte("2")))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := f.View()
				kv, _ := v.Get("/x")
				if string(kv.Value) != fmt.Sprint(v.Revision()) {
					t.Errorf("%s at revision %d", kv.Value, v.Revision())
				}
				if w, err := f.Watch("/x", v.Revision()); err == nil {
					_, _, _ = w.advance()
				}
			}
		})
	}
	for range 200 {
		if err := f.Restore(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		f.do(Put("/x", []byte("2")))
	}
	close(stop)
	wg.Wait()
	if diff := cmp.Diff([]string{"/x=2@1/2"}, keys(f.View().List(""))); diff != "" {
		t.Error(diff)
	}
}
