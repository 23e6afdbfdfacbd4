package agent

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/report"
)

func TestAComputedKindIsSoonOfARevisionThatIsAskedFor(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		c := &Core{store: store.New(nil), reports: report.New(report.Config{}), log: slog.New(slog.DiscardHandler)}
		var broken error
		k := computedKind(c, "Work", time.Second, func(v *store.View) ([]v1alpha1.Work, error) {
			return []v1alpha1.Work{{ObjectMeta: metav1.ObjectMeta{Name: strconv.FormatUint(uint64(v.Revision()), 10)}}}, broken
		})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = k.follow(ctx) })
		defer all.Wait()
		defer cancel()
		write := func(index uint64) store.Revision {
			// Nothing is computed from this key, so nothing but a reader calls for a computation.
			putAlone(t, c.store, index, "/other")
			return c.store.View().Revision()
		}
		reach := func(rev store.Revision) store.Revision {
			patient, done := context.WithTimeout(ctx, 3*time.Second)
			defer done()
			return k.Reach(patient, rev)
		}
		for index := range uint64(3) {
			rev, begun := write(index+1), time.Now()
			if got := reach(rev); got != rev || time.Since(begun) > time.Second/2 {
				t.Errorf("of revision %d, not %d, after %s", got, rev, time.Since(begun))
			}
			if items, _ := k.List(); items[0].GetName() != strconv.FormatUint(uint64(rev), 10) {
				t.Errorf("%s is listed at %d", items[0].GetName(), rev)
			}
		}
		last := c.store.View().Revision()
		broken = errors.New("broken")
		if got := reach(write(4)); got != last {
			t.Errorf("of revision %d, which cannot be computed", got)
		}
	})
}

// TestWhatNobodyLooksAtIsComputedSeldom changes the log a hundred times a second.
func TestWhatNobodyLooksAtIsComputedSeldom(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		c := &Core{store: store.New(nil), reports: report.New(report.Config{}), log: slog.New(slog.DiscardHandler)}
		var computations atomic.Int32
		k := computedKind(c, "Work", 10*time.Millisecond, func(v *store.View) ([]v1alpha1.Work, error) {
			computations.Add(1)
			return []v1alpha1.Work{{ObjectMeta: metav1.ObjectMeta{Name: strconv.FormatUint(uint64(v.Revision()), 10)}}}, nil
		})
		k.remembers = true
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = k.follow(ctx) })
		defer all.Wait()
		defer cancel()
		index := uint64(0)
		during := func(changes int) int32 {
			before := computations.Load()
			for range changes {
				index++
				putAlone(t, c.store, index, v1alpha1.KeyGrants+"a")
				time.Sleep(10 * time.Millisecond)
			}
			return computations.Load() - before
		}
		during(100)
		if n := during(1000); n > 11 {
			t.Errorf("%d computations in 10 s that nobody looked at", n)
		}
		begun, rev := time.Now(), c.store.View().Revision()
		if got := k.Reach(ctx, rev); got != rev || time.Since(begun) > 100*time.Millisecond {
			t.Errorf("of revision %d, not %d, after %s", got, rev, time.Since(begun))
		}
		watching, stop := context.WithCancel(ctx)
		var watch sync.WaitGroup
		watch.Go(func() {
			for watching.Err() == nil {
				select {
				case <-k.Changed():
				case <-watching.Done():
				}
			}
		})
		if n := during(1000); n < 300 {
			t.Errorf("%d computations in 10 s that somebody watches", n)
		}
		stop()
		watch.Wait()
		during(100)
		if n := during(1000); n > 11 {
			t.Errorf("%d computations in 10 s after the watch", n)
		}
		// What members say is no revision of the log, and is shown as soon as somebody looks, too.
		time.Sleep(3 * time.Second)
		during(2)
		before := computations.Load()
		if k.Reach(ctx, 1); computations.Load() == before {
			t.Error("what is shown is older than what this member knows")
		}
	})
}

// TestWhatIsMuchWorkAndUnseenIsComputedMoreSeldom has a fleet of which a computation takes a second.
func TestWhatIsMuchWorkAndUnseenIsComputedMoreSeldom(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		c := &Core{store: store.New(nil), reports: report.New(report.Config{}), log: slog.New(slog.DiscardHandler)}
		var computations atomic.Int32
		k := computedKind(c, "Work", 10*time.Millisecond, func(v *store.View) ([]v1alpha1.Work, error) {
			computations.Add(1)
			time.Sleep(time.Second)
			return nil, nil
		})
		k.remembers = true
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = k.follow(ctx) })
		defer all.Wait()
		defer cancel()
		time.Sleep(10 * time.Minute)
		if n := computations.Load(); n < 10 || n > 13 {
			t.Errorf("%d computations in 10 minutes that nobody looked at, of a second each", n)
		}
		putAlone(t, c.store, 1, v1alpha1.KeyGrants+"a")
		begun, rev := time.Now(), c.store.View().Revision()
		if got := k.Reach(ctx, rev); got != rev || time.Since(begun) > 5*time.Second {
			t.Errorf("of revision %d, not %d, after %s", got, rev, time.Since(begun))
		}
	})
}

// TestWhatRemembersNothingIsComputedWhenSomebodyLooks changes the log a hundred times.
func TestWhatRemembersNothingIsComputedWhenSomebodyLooks(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		c := &Core{store: store.New(nil), reports: report.New(report.Config{}), log: slog.New(slog.DiscardHandler)}
		var computations atomic.Int32
		k := computedKind(c, "ClusterMetrics", 10*time.Millisecond, func(v *store.View) ([]v1alpha1.ClusterMetrics, error) {
			computations.Add(1)
			return []v1alpha1.ClusterMetrics{{ObjectMeta: metav1.ObjectMeta{Name: strconv.FormatUint(uint64(v.Revision()), 10)}}}, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = k.follow(ctx) })
		defer all.Wait()
		defer cancel()
		for index := range uint64(100) {
			putAlone(t, c.store, index+1, v1alpha1.KeyGrants+"a")
			time.Sleep(time.Second)
		}
		if n := computations.Load(); n != 1 {
			t.Errorf("%d computations, and nobody looked", n)
		}
		rev := c.store.View().Revision()
		if got := k.Reach(ctx, rev); got != rev {
			t.Errorf("of revision %d, not %d", got, rev)
		}
		if items, _ := k.List(); items[0].GetName() != strconv.FormatUint(uint64(rev), 10) {
			t.Errorf("%s is listed at %d", items[0].GetName(), rev)
		}
	})
}

// putAlone writes one key of a store.
func putAlone(t *testing.T, s *store.Store, index uint64, key string) {
	t.Helper()
	entry, err := store.EncodeEntry([]store.Command{{Proposer: "11111111-1111-4111-8111-111111111111", Txn: &store.Txn{Then: []store.Op{store.Put(key, []byte(strconv.FormatUint(index, 10)))}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(index, 1, entry); err != nil {
		t.Fatal(err)
	}
}
