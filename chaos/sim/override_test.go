package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/render"
)

// web is a bundle for one cluster of each region, with more replicas in eu, and its cluster's name in it.
func web(generation int64) *v1alpha1.Bundle {
	raw := func(text string) runtime.RawExtension { return runtime.RawExtension{Raw: []byte(text)} }
	target := v1alpha1.Target{Kind: "Deployment", Name: "web"}
	named := raw(`{"metadata":{"annotations":{"in":"${cluster.name} of ${cluster.region}"}}}`)
	three := int32(3)
	b := &v1alpha1.Bundle{TypeMeta: v1alpha1.TypeOf("Bundle"), ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: types.UID("first"), Generation: generation}}
	b.Spec.Placement = v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}, NumberOfClusters: &three,
		SpreadConstraints: []v1alpha1.SpreadConstraint{{TopologyKey: v1alpha1.LabelRegion, MaxSkew: 1, MinDomains: 3}}}
	b.Spec.Overrides = []v1alpha1.Override{
		{Patches: []v1alpha1.Patch{{Target: target, Merge: &named}}},
		{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "eu"}}, Replicas: []v1alpha1.ReplicasOverride{{Target: target, Count: 5}}},
	}
	b.Spec.Division = []v1alpha1.Division{{Target: v1alpha1.Target{Kind: "StatefulSet", Name: "db"}, By: v1alpha1.DivideByWeight}}
	b.Spec.Manifests = []runtime.RawExtension{raw(fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,"revisionHistoryLimit":%d}}`, generation)),
		raw(fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"db"},"spec":{"replicas":%d}}`, 6+generation))}
	return b
}

func writeBundle(t *testing.T, m *sim.Member, b *v1alpha1.Bundle) {
	t.Helper()
	value, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	change(t, m, value)
}

// carried tells what each cluster runs of the bundle shop, by one member's copy of the log.
func carried(t *testing.T, m *sim.Member) (all []string) {
	t.Helper()
	v := m.Core.Store().View()
	for _, kv := range v.List(v1alpha1.KeyGrants) {
		var g v1alpha1.Grant
		var r v1alpha1.BundleRevision
		if err := json.Unmarshal(kv.Value, &g); err != nil {
			t.Fatal(err)
		}
		revision, ok := v.Get(v1alpha1.KeyBundleRevisions + g.Revision)
		if !ok {
			continue
		}
		if err := json.Unmarshal(revision.Value, &r); err != nil {
			t.Fatal(err)
		}
		objects, err := render.Render(r.Spec.BundleContent, g.Frozen)
		if err != nil {
			t.Fatal(err)
		}
		replicas, _, _ := unstructured.NestedInt64(objects[0].Object, "spec", "replicas")
		history, _, _ := unstructured.NestedInt64(objects[0].Object, "spec", "revisionHistoryLimit")
		db, _, _ := unstructured.NestedInt64(objects[1].Object, "spec", "replicas")
		all = append(all, fmt.Sprintf("%s at %d: %d web, %d db", objects[0].GetAnnotations()["in"], history, replicas, db))
	}
	return all
}

func TestEachRegionRunsItsOwnReplicas(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		ctx, cancel := context.WithCancel(t.Context())
		f.Settle(ctx, func(s *v1alpha1.FleetSpec) { s.Rollout = &v1alpha1.FleetRollout{Soak: &metav1.Duration{}} })
		var clusters sync.WaitGroup
		defer clusters.Wait() // before the fleet closes
		defer cancel()
		for _, m := range f.Members {
			clusters.Go(func() { carryOut(ctx, m) })
		}
		writeBundle(t, f.Members[3], web(1))
		first := []string{"ams of eu at 1: 5 web, 3 db", "iad of us at 1: 2 web, 2 db", "sin of ap at 1: 2 web, 2 db"}
		f.Await("one cluster of each region has it, and its part", time.Minute, func() bool { return slices.Equal(carried(t, f.Members[4]), first) })
		writeBundle(t, f.Members[0], web(2))
		next := []string{"ams of eu at 2: 5 web, 3 db", "iad of us at 2: 2 web, 3 db", "sin of ap at 2: 2 web, 2 db"}
		f.Await("and all have the next revision", time.Minute, func() bool { return slices.Equal(carried(t, f.Members[1]), next) })
	})
}
