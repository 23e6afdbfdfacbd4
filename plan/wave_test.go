package plan_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// TestWhatIsForetoldIsWhatBegins: hanse diff shows the waves in which the leader would cut the change.
func TestWhatIsForetoldIsWhatBegins(t *testing.T) {
	one := intstr.FromInt32(1)
	for name, rollout := range map[string]v1alpha1.BundleRollout{
		"by fault domains": {},
		"a canary":         {Canary: &one},
		"by zones":         {Domain: v1alpha1.LabelZone},
		"stages": {Stages: []v1alpha1.RolloutStage{
			{Name: "us", Domains: []string{"us"}}, {Name: "two", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "eu"}}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			w.rest()
			b := w.apply("shop", "ap1", "eu1", "eu2", "us2") // and not in ap2 and us1 any more
			b.Spec.Rollout = &rollout
			s := w.situation()
			told := plan.Waves(s.Fleet, b, s.Clusters, []string{"ap1", "eu1", "eu2", "us2"}, []string{"ap2", "us1"})
			w.settle()
			begun := w.newest("shop").Spec.Waves
			if diff := cmp.Diff(begun, told); diff != "" || len(begun) < 3 {
				t.Errorf("begun, and told:\n%s", diff)
			}
			if !slices.ContainsFunc(told, func(w v1alpha1.Wave) bool { return len(w.Withdraw) > 0 }) {
				t.Error("nobody loses it")
			}
		})
	}
}
