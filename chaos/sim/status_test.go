package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestStatusesComeInRoundsWhilePeopleWrite(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		m := f.Found("fra", "eu")
		const bundles, pause, least = 200, 10 * time.Millisecond, 100 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rounds := statusTimes(ctx, t, m)
		for i := range bundles {
			name := fmt.Sprintf("nowhere-%d", i)
			if _, err := sim.Propose(ctx, m.Core, v1alpha1.KeyBundles+name, nowhere(t, name)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
		}
		f.Await("every bundle has its status", time.Minute, func() bool {
			for _, kv := range m.Core.Store().View().List(v1alpha1.KeyBundles) {
				if statusRevision(kv.Value) == "" {
					return false
				}
			}
			return true
		})
		cancel()
		at := <-rounds
		for i := 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap < least {
				t.Errorf("round %d of %d came %s after the one before", i+1, len(at), gap)
			}
		}
		if all := bundles * pause; len(at) < int(all/(3*least)) {
			t.Errorf("there were %d rounds in %s", len(at), all)
		}
	})
}

// statusTimes says, once ctx ends, at which moments statuses of bundles were written.
func statusTimes(ctx context.Context, t *testing.T, m *sim.Member) <-chan []time.Time {
	w, err := m.Core.Store().Watch(v1alpha1.KeyBundles, m.Core.Store().View().Revision())
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan []time.Time, 1)
	go func() {
		var at []time.Time
		for {
			batch, err := w.Next(ctx)
			if err != nil {
				said <- at
				return
			}
			for _, e := range batch.Events {
				if now := time.Now(); e.Value != nil && statusRevision(e.Value.Value) != "" && (len(at) == 0 || at[len(at)-1] != now) {
					at = append(at, now)
				}
			}
		}
	}()
	return said
}

func statusRevision(value []byte) string {
	var b v1alpha1.Bundle
	_ = json.Unmarshal(value, &b) // what is no bundle has none
	return b.Status.Revision
}

// nowhere is a bundle that is placed in no cluster.
func nowhere(t *testing.T, name string) []byte {
	t.Helper()
	value, err := json.Marshal(&v1alpha1.Bundle{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Bundle"},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}
