package plan_test

import (
	"slices"
	"testing"
	"time"

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

// TestNoClusterLosesAMovedBundleBeforeOthersRunIt: of a bundle that moves from clusters to clusters, as by a drain, as many have it healthy at
// each moment as before.
func TestNoClusterLosesAMovedBundleBeforeOthersRunIt(t *testing.T) {
	for name, row := range map[string]struct {
		from, to      []string
		domains, soak int32
		stages        []v1alpha1.RolloutStage
	}{
		"to a later fault domain":       {from: []string{"ap1"}, to: []string{"eu1"}, domains: 1},
		"to an earlier one":             {from: []string{"eu1"}, to: []string{"ap1"}, domains: 1},
		"in the same":                   {from: []string{"ap1"}, to: []string{"ap2"}, domains: 1},
		"in the same, and to a later":   {from: []string{"ap1", "ap3"}, to: []string{"ap2", "eu1"}, domains: 1},
		"both may be in change":         {from: []string{"ap1"}, to: []string{"eu1"}, domains: 2},
		"and what comes there soaks":    {from: []string{"ap1"}, to: []string{"eu1"}, domains: 2, soak: 5},
		"to one of an earlier stage":    {from: []string{"ap1"}, to: []string{"eu1"}, domains: 2, stages: []v1alpha1.RolloutStage{{Name: "eu", Domains: []string{"eu"}}}},
		"both in the stage of the rest": {from: []string{"ap1"}, to: []string{"eu1"}, domains: 2, stages: []v1alpha1.RolloutStage{{Name: "us", Domains: []string{"us"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, slices.Concat(row.from, row.to)...)
			w.fleet.MaxDomains, w.fleet.Soak.Duration = row.domains, time.Duration(row.soak)*time.Second
			w.rollout.Stages = row.stages
			for _, cluster := range row.to {
				w.clusters[cluster].labels["spare"] = "yes"
			}
			n := int32(len(row.from))
			picks(w.apply("shop"), n).Spec.Placement.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "spare", Operator: metav1.LabelSelectorOpDoesNotExist}}}
			w.settle()
			picks(w.apply("shop"), n).Spec.Placement.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"spare": "yes"}}
			for second := range 60 {
				w.rest()
				if have := w.haveIt("shop"); have < len(row.from) {
					t.Fatalf("second %d: %d have it healthy, and are to keep it:\n%s", second, have, w)
				}
				w.obeyAll()
				w.later(time.Second)
			}
			for _, cluster := range row.to {
				if got := grantText(w.grants["shop"][cluster]); got != "2" {
					t.Errorf("%s is granted %q", cluster, got)
				}
			}
			if len(w.grants["shop"]) != len(row.to) {
				t.Errorf("others have it still:\n%s", w)
			}
		})
	}
}

// haveIt is how many clusters run a bundle healthy, and are not told to lose it.
func (w *world) haveIt(bundle string) (n int) {
	for name, g := range w.grants[bundle] {
		if w.clusters[name].sound[bundle] > 0 && !g.Withdraw {
			n++
		}
	}
	return n
}
