package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
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
			some, err := apart(0, 7, func(from, to int) error {
				tries++
				for _, bad := range tt.refused {
					if from <= bad && bad < to {
						return tt.as
					}
				}
				for i := from; i < to; i++ {
					written = append(written, i)
				}
				return nil
			})
			if diff := cmp.Diff(tt.written, written); diff != "" || some != (len(written) > 0) || tries != tt.tries || !errors.Is(err, tt.as) {
				t.Errorf("after %d tries, %v, %v: %s", tries, some, err, diff)
			}
		})
	}
}

// What is told in the log is what was written, and no more.
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
}
