package agent

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
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
			if got := reach(rev); got != rev || time.Since(begun) > 3*time.Second/2 {
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
