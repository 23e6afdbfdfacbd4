package sim_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
)

// holders are the clusters that are granted a bundle, and are not to lose it.
func (w *waves) holders(bundle string) (clusters []string) {
	for _, kv := range w.leader().Core.Store().View().List(v1alpha1.KeyGrants) {
		var g v1alpha1.Grant
		if cluster, of := v1alpha1.CutGrantKey(kv.Key); of == bundle && json.Unmarshal(kv.Value, &g) == nil && !g.Withdraw {
			clusters = append(clusters, cluster)
		}
	}
	slices.Sort(clusters)
	return clusters
}

// placeSome writes a bundle that is in so many clusters, and tolerates for a minute that one is gone.
func (w *waves) placeSome(ctx context.Context, name string, n int32) {
	minute := int64(60)
	b := &v1alpha1.Bundle{TypeMeta: v1alpha1.TypeOf("Bundle"), ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("00000001-" + name), Generation: 1}}
	b.Spec.Placement = v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}, NumberOfClusters: &n, Tolerations: []v1alpha1.Toleration{
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

func TestWhatWasPickedMovesAwayFromARegionThatDies(t *testing.T) {
	long(t)
	t.Parallel()
	wrong := rolling(t, *seed, nil, func(ctx context.Context, w *waves) {
		is := func(when string, want ...string) {
			t.Helper()
			if got := w.holders("shop"); !slices.Equal(got, want) {
				t.Errorf("%s, %s have it, not %s", when, strings.Join(got, " "), strings.Join(want, " "))
			}
		}
		w.placeSome(ctx, "shop", 2)
		time.Sleep(time.Minute)
		is("in a fleet that is whole", "ams", "fra")
		w.f.CutRegion("eu")
		time.Sleep(50 * time.Second)
		is("while it is tolerated", "ams", "fra")
		l := w.leader()
		l.Kill() // and with it all that it had counted
		time.Sleep(3 * time.Second)
		l.Start()
		time.Sleep(25 * time.Second)
		is("while it is tolerated, and another one leads", "ams", "fra")
		time.Sleep(3 * time.Minute)
		is("when it is tolerated no more", "ams", "fra", "iad", "nrt")
		w.f.MendRegion("eu")
		time.Sleep(2 * time.Minute)
		is("after the region is back", "iad", "nrt")
		time.Sleep(6 * time.Minute)
		is("long after the region is back", "iad", "nrt")
		for _, kv := range w.leader().Core.Store().View().List(v1alpha1.KeyClusters) {
			var c v1alpha1.Cluster
			if err := json.Unmarshal(kv.Value, &c); err != nil || c.Status.Unreachable != nil {
				t.Errorf("%s: %v %+v", kv.Key, err, c.Status.Unreachable)
			}
		}
	})
	for _, w := range wrong {
		t.Error(w)
	}
}

// What cannot be written of one cluster that is gone holds no rollout up.
func TestAClusterThatCannotBeWrittenDownHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	wrong := rolling(t, *seed, nil, func(ctx context.Context, w *waves) {
		w.keepQuiet("sin")
		w.all["sin"].Isolate()
		time.Sleep(45 * time.Second) // it is lost, and to be written down every time
		w.apply(ctx, "shop", false)
		time.Sleep(30 * time.Second)
		if got := strings.Join(w.holders("shop"), " "); got != "ams fra iad nrt pdx" {
			t.Errorf("%s have it", got)
		}
		v := w.leader().Core.Store().View()
		kv, _ := v.Get(v1alpha1.KeyClusters + "sin")
		var c v1alpha1.Cluster
		if err := json.Unmarshal(kv.Value, &c); err != nil || c.Status.Unreachable != nil {
			t.Errorf("it was written down: %v %+v", err, c.Status.Unreachable)
		}
	})
	for _, w := range wrong {
		t.Error(w)
	}
}
