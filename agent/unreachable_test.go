package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
)

func TestWhatIsRefusedKeepsNoOtherBack(t *testing.T) {
	for name, tt := range map[string]struct {
		refused []int
		as      error
		written []int
		tries   int
	}{
		"nothing":      {nil, nil, []int{0, 1, 2, 3, 4, 5, 6}, 1},
		"one":          {[]int{3}, &store.Invalid{Reason: "too large"}, []int{0, 1, 2, 4, 5, 6}, 7},
		"two":          {[]int{0, 6}, fmt.Errorf("of a cluster: %w", &store.Forbidden{}), []int{1, 2, 3, 4, 5}, 9},
		"no quorum":    {[]int{3}, store.ErrNoQuorum, nil, 1},
		"a stale term": {[]int{3}, store.ErrStaleTerm, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var written []int
			tries := 0
			some, err := apart([]int{0, 1, 2, 3, 4, 5, 6}, func(some []int) error {
				tries++
				for _, bad := range tt.refused {
					if slices.Contains(some, bad) {
						return tt.as
					}
				}
				written = append(written, some...)
				return nil
			})
			if diff := cmp.Diff(tt.written, written); diff != "" || some != (len(written) > 0) || tries != tt.tries || !errors.Is(err, tt.as) {
				t.Errorf("after %d tries, %v, %v: %s", tries, some, err, diff)
			}
		})
	}
}

// A cluster of which the log takes nothing is tried by itself, ever more seldom, until it is another; the others are written at once.
func TestWhatIsRefusedIsTriedEverMoreSeldom(t *testing.T) {
	r, now := refusals{}, time.Unix(1000, 0)
	bad := notice{cluster: decoded.Object[v1alpha1.Cluster]{Key: "/clusters/bad", Modified: 7}}
	var all []notice
	for i := range clustersAtOnce - 1 {
		all = append(all, notice{cluster: decoded.Object[v1alpha1.Cluster]{Key: fmt.Sprint("/clusters/", i), Modified: 7}})
	}
	all = append(all, bad)
	tries, written := 0, 0
	pass := func(all ...notice) (tried int) {
		t.Helper()
		before := tries
		_, err := r.write(all, now, func(some []notice) error {
			tries++
			if slices.ContainsFunc(some, func(n notice) bool { return n.cluster == bad.cluster }) {
				return &store.Invalid{Reason: "too large"}
			}
			written += len(some)
			return nil
		})
		if err != nil && !isRefused(err) {
			t.Fatal(err)
		}
		return tries - before
	}
	if tried := pass(all...); tried != 9 || written != 15 {
		t.Errorf("found after %d tries, %d written", tried, written)
	}
	for _, tt := range []struct {
		after time.Duration
		tried int
	}{{time.Second, 1}, {time.Second, 2}, {3 * time.Second, 1}, {time.Second, 2}, {refusedMost, 2}, {refusedMost, 2}, {refusedMost, 2}, {refusedMost, 2}, {refusedMost - time.Second, 1}, {time.Second, 2}} {
		now = now.Add(tt.after)
		if tried := pass(all...); tried != tt.tried {
			t.Errorf("%s later it takes %d tries, want %d", tt.after, tried, tt.tried)
		}
	}
	bad.cluster.Modified++ // somebody makes it another
	if tried := pass(append(all[:15:15], bad)...); tried != 9 {
		t.Errorf("what is new of it is not tried with the others: %d tries", tried)
	}
	was := bad
	bad = notice{}
	if tried := pass(was); tried != 0 {
		t.Errorf("it does not wait: %d tries", tried)
	}
	now = now.Add(refusedFirst)
	if tried := pass(was); tried != 1 || len(r) != 0 {
		t.Errorf("it is taken after %d tries, and %v are left", tried, r)
	}
}

// What is told in the log is what was written, and no more; an eviction that was not written does not count as one.
func TestWhatIsOvertakenIsNotWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fra")
	if _, err := Init(InitOptions{DataDir: dir, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	m := start(t, dir)
	defer m.stop()
	if err := m.store.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	kv, _ := m.store.View().Get(v1alpha1.KeyFleets + "acme")
	var fleet v1alpha1.Fleet
	if err := json.Unmarshal(kv.Value, &fleet); err != nil {
		t.Fatal(err)
	}
	op, err := law.Amend(kv, fleet, fleet)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		as      store.Condition
		written bool
	}{
		"as it was seen": {store.KeyAbsent(kv.Key + "x"), true},
		"overtaken":      {store.KeyAbsent(kv.Key), false},
	} {
		if written, err := m.proposeDecision(ctx, m.node.Status().Term, []store.Condition{c.as}, op); err != nil || written != c.written {
			t.Errorf("%s: written %v, %v", name, written, err)
		}
	}
	for name, c := range map[string]struct {
		op      store.Op
		behind  store.Revision // that the cluster was looked at
		hurried bool
		evicted bool
	}{
		"written":                 {op: op, evicted: true},
		"overtaken":               {op: op, behind: 1},
		"refused":                 {op: store.Put("no key", nil)},
		"nobody knows how it was": {op: op, hurried: true, evicted: true},
	} {
		at, stop := context.WithCancel(ctx)
		if c.hurried {
			stop()
		}
		now, _ := m.store.View().Get(kv.Key) // where a notice is written does not matter here
		n := notice{decoded.Object[v1alpha1.Cluster]{Key: now.Key, Modified: now.Modified - c.behind, Value: &v1alpha1.Cluster{}}, nil, c.op, true}
		l := &leader{Core: m.Core, term: m.node.Status().Term}
		err := l.notify(at, []notice{n}, time.Now())
		stop()
		if evicted := !l.evicted.IsZero(); evicted != c.evicted {
			t.Errorf("%s: it counts as evicted: %v, %v", name, evicted, err)
		}
	}
}
