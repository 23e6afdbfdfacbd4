package agent

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

// TestPlacementsAreAskedAgainOnOtherGround: what a placement picks is remembered while the clusters, the grants, and the metrics that it looks at
// are the same.
func TestPlacementsAreAskedAgainOnOtherGround(t *testing.T) {
	lists := func(names ...string) (all []decoded.Object[v1alpha1.Cluster]) {
		for _, name := range names {
			all = append(all, decoded.Object[v1alpha1.Cluster]{Key: name, Value: &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}})
		}
		return all
	}
	sceneOf := func(clusters []decoded.Object[v1alpha1.Cluster], grants []decoded.Object[v1alpha1.Grant], nodes int32) scene {
		s := scene{clusters: clusters, grants: grants}
		s.plan.Metrics = map[string]v1alpha1.ClusterMetricsStatus{"a": {Capacity: &v1alpha1.CapacityReading{ReadyNodes: nodes}}}
		for _, c := range clusters {
			s.plan.Clusters = append(s.plan.Clusters, *c.Value)
		}
		return s
	}
	everywhere := &v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "everywhere"}}
	everywhere.Spec.Placement.ClusterSelector = &metav1.LabelSelector{}
	one := everywhere.DeepCopy()
	one.Name, one.Spec.Placement.NumberOfClusters = "one", new(int32(1))
	two, grants := lists("a", "b"), []decoded.Object[v1alpha1.Grant]{{Key: "g", Value: &v1alpha1.Grant{}}}
	for name, c := range map[string]struct {
		next scene
		kept int
	}{
		"the same":                 {sceneOf(two, grants, 1), 2},
		"another cluster":          {sceneOf(lists("a", "b", "c"), grants, 1), 0},
		"a cluster that changed":   {sceneOf(lists("a", "b"), grants, 1), 0},
		"another grant":            {sceneOf(two, append([]decoded.Object[v1alpha1.Grant]{}, grants...), 1), 0},
		"no grant":                 {sceneOf(two, nil, 1), 0},
		"metrics that are others'": {sceneOf(two, grants, 2), 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := placed{}
			s := sceneOf(two, grants, 1)
			s.plan.Picked = p.on(s)
			s.plan.BundleStatus(everywhere)
			s.plan.BundleStatus(one)
			if got := len(p.on(c.next)); got != c.kept {
				t.Errorf("%d are remembered, want %d", got, c.kept)
			}
		})
	}
	var none plan.Picked
	none.Remeasured() // nobody remembers
}
