package plan_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// largeFleet has every bundle in every cluster, healthy, and of the first so many a change that is on its way.
func largeFleet(bundles, clusters, changing int) plan.Situation {
	s := plan.Situation{Fleet: (*v1alpha1.FleetRollout)(nil).Resolved(), Silent: map[string]time.Duration{}, Looking: map[string]bool{}}
	s.Now = time.Unix(1_000_000, 0)
	s.Grants, s.Sightings = map[string]map[string]v1alpha1.Grant{}, map[string]plan.Sighting{}
	for i := range clusters {
		name := fmt.Sprintf("cluster-%03d", i)
		labels := map[string]string{v1alpha1.LabelRegion: fmt.Sprint("region-", i%5)}
		s.Clusters = append(s.Clusters, v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
		s.Sightings[name] = plan.Sighting{Fresh: true, Works: map[string]v1alpha1.WorkStatus{}}
	}
	for i := range bundles {
		b := &v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bundle-%04d", i), UID: types.UID(fmt.Sprintf("%08d", i)), Generation: 1}}
		b.Spec.Placement.ClusterSelector = &metav1.LabelSelector{}
		s.Bundles = append(s.Bundles, b)
		revision := v1alpha1.RevisionName(b.Name, string(b.UID), 1)
		done := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: revision}, Spec: v1alpha1.RolloutSpec{Bundle: b.Name, BundleUID: string(b.UID), Revision: revision, Generation: 1, Number: 1}}
		done.Status = v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete, Ended: &metav1.Time{Time: s.Now}, Waves: []v1alpha1.WaveStatus{{Settled: &metav1.Time{Time: s.Now}}}}
		s.Rollouts = append(s.Rollouts, done)
		s.Grants[b.Name] = map[string]v1alpha1.Grant{}
		for _, c := range s.Clusters {
			s.Grants[b.Name][c.Name] = v1alpha1.Grant{Bundle: b.Name, BundleUID: string(b.UID), Revision: revision, At: 1}
			s.Sightings[c.Name].Works[b.Name] = v1alpha1.WorkStatus{Grant: 1, Applied: revision, Health: v1alpha1.HealthReady}
		}
	}
	for _, b := range s.Bundles[:changing] {
		b.Generation = 2
	}
	return s
}

// written is the situation after what was decided.
func written(s plan.Situation, steps []plan.Step) plan.Situation {
	for _, step := range steps {
		for _, r := range step.Rollouts {
			for i, old := range s.Rollouts {
				if old.Name == r.Name {
					s.Rollouts[i] = r
				}
			}
			if s.Rollouts[len(s.Rollouts)-1].Name != r.Name && r.Status.Phase != v1alpha1.RolloutComplete {
				s.Rollouts = append(s.Rollouts, r)
			}
		}
	}
	return s
}

// BenchmarkDecide is one pass of the leader over 1,000 bundles in 100 clusters.
func BenchmarkDecide(b *testing.B) {
	for name, changing := range map[string]int{"nothing to do": 0, "one change begins": 1, "a hundred begin": 100} {
		b.Run(name, func(b *testing.B) {
			s := largeFleet(1000, 100, changing)
			for b.Loop() {
				plan.Decide(s)
			}
		})
	}
	b.Run("a fleet of four thousand", func(b *testing.B) {
		s := largeFleet(1, 4000, 1)
		s = written(s, plan.Decide(s))
		for b.Loop() {
			plan.Decide(s)
		}
	})
	b.Run("a hundred wait", func(b *testing.B) {
		s := largeFleet(1000, 100, 100)
		s = written(s, plan.Decide(s))
		for b.Loop() {
			plan.Decide(s)
		}
	})
}
