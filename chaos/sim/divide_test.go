package sim_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
)

// divide writes a bundle with a Deployment of twelve replicas that all clusters share, and tolerates for a minute that one is gone.
func (w *waves) divide(ctx context.Context, name string) {
	minute := int64(60)
	b := &v1alpha1.Bundle{TypeMeta: v1alpha1.TypeOf("Bundle"), ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("00000001-" + name), Generation: 1}}
	b.Spec.Manifests = []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"shop","name":"web"},"spec":{"replicas":12}}`)}}
	b.Spec.Division = []v1alpha1.Division{{Target: v1alpha1.Target{Kind: "Deployment", Name: "web"}, By: v1alpha1.DivideByWeight}}
	b.Spec.Placement = v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}, Tolerations: []v1alpha1.Toleration{
		{Key: v1alpha1.TaintUnreachable, Operator: v1alpha1.TolerationExists, Effect: v1alpha1.TaintNoExecute, TolerationSeconds: &minute},
	}}
	value, err := json.Marshal(b)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := sim.Propose(ctx, w.leader().Core, v1alpha1.KeyBundles+name, value); err != nil {
		w.t.Fatal(err)
	}
}

// parts are what each cluster is granted of a division, as a member knows that no cut touches.
func (w *waves) parts(bundle string) map[string]int32 {
	parts := map[string]int32{}
	for _, kv := range w.all["iad"].Core.Store().View().List(v1alpha1.KeyGrants) {
		var g v1alpha1.Grant
		if cluster, of := v1alpha1.CutGrantKey(kv.Key); of == bundle && json.Unmarshal(kv.Value, &g) == nil && !g.Withdraw && g.Frozen != nil {
			parts[cluster] = g.Frozen.Divided[0]
		}
	}
	return parts
}

// share is how many replicas some clusters are granted together.
func (w *waves) share(bundle string, clusters ...string) (n int32) {
	parts := w.parts(bundle)
	for _, c := range clusters {
		n += parts[c]
	}
	return n
}

// leader is who leads, once somebody does.
func (w *waves) leader() (m *sim.Member) {
	w.t.Helper()
	w.f.Await("somebody leads", 2*time.Minute, func() bool {
		m = w.f.Leader()
		return m != nil
	})
	return m
}

// until waits until clusters share so many replicas, or have gone past that, for ten minutes at most, and says how long that took.
func (w *waves) until(n int32, clusters ...string) time.Duration {
	w.t.Helper()
	began, more := time.Now(), w.share("shop", clusters...) < n
	there := func(share int32) bool {
		if more {
			return share >= n
		}
		return share <= n
	}
	for !there(w.share("shop", clusters...)) {
		if time.Since(began) > 10*time.Minute {
			w.t.Fatalf("after %s: %v", time.Since(began), w.parts("shop"))
		}
		time.Sleep(time.Second)
	}
	return time.Since(began)
}

// votersIn is how many of some clusters' members vote, by what the leader has told.
func (w *waves) votersIn(clusters ...string) (n int) {
	for _, name := range clusters {
		var c v1alpha1.Cluster
		kv, _ := w.all["iad"].Core.Store().View().Get(v1alpha1.KeyClusters + name)
		if json.Unmarshal(kv.Value, &c) == nil && c.Status.Voter == v1alpha1.RoleVoter {
			n++
		}
	}
	return n
}

func TestWhatWasDividedMovesAwayFromARegionThatDies(t *testing.T) {
	long(t)
	t.Parallel()
	eu, others := []string{"ams", "fra"}, []string{"iad", "pdx", "nrt", "sin"}
	wrong := rolling(t, *seed, nil, func(ctx context.Context, w *waves) {
		holdDown := 90 * time.Second
		w.f.Settle(ctx, func(s *v1alpha1.FleetSpec) {
			s.Rollout = &v1alpha1.FleetRollout{Soak: &metav1.Duration{}, Eviction: &v1alpha1.Eviction{PerMinute: 1, HoldDown: &metav1.Duration{Duration: holdDown}}}
		})
		w.divide(ctx, "shop")
		w.until(8, others...)
		w.until(4, eu...)
		w.f.Await("one of three voters is in eu", 5*time.Minute, func() bool { return w.f.Voters() == 3 && w.votersIn(eu...) == 1 })
		w.f.CutRegion("eu")
		if after := w.until(10, others...); after < time.Minute {
			t.Errorf("it moves after %s, and a minute is tolerated", after)
		}
		if after := w.until(12, others...); after < 50*time.Second { // the waves of the first one take a while
			t.Errorf("another cluster is evicted %s later, and one is a minute", after)
		}
		w.f.MendRegion("eu")
		w.until(0, eu...)
		back := time.Now()
		w.until(4, eu...)
		if held := time.Since(back); held < holdDown-30*time.Second { // it is back for a while before it is told to have nothing
			t.Errorf("it comes back after %s, and %s is the hold-down", held, holdDown)
		}
		w.until(8, others...)
	})
	for _, w := range wrong {
		t.Error(w)
	}
}
