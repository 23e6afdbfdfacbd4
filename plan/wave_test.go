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
			spares(w.apply("shop"), n, false)
			w.settle()
			spares(w.apply("shop"), n, true)
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

// spares lets a bundle be picked by so many of the clusters with the label spare, or without it.
func spares(b *v1alpha1.Bundle, n int32, with bool) {
	op := metav1.LabelSelectorOpDoesNotExist
	if with {
		op = metav1.LabelSelectorOpExists
	}
	picks(b, n).Spec.Placement.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "spare", Operator: op}}}
}

// TestAMovedBundleStaysUntilWhoIsAwayHasIt: the cluster that it comes to is away for a moment, and is owed it.
func TestAMovedBundleStaysUntilWhoIsAwayHasIt(t *testing.T) {
	for name, away := range map[string]func(*world){
		"not heard of": func(w *world) { w.silence("eu"); w.later(5 * time.Second) },
		"only looking": func(w *world) { w.clusters["eu1"].looking = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ap1", "eu1", "us1")
			w.clusters["eu1"].labels["spare"] = "yes"
			spares(w.apply("shop"), 1, false)
			w.settle()
			from := "ap1"
			if _, has := w.grants["shop"][from]; !has {
				from = "us1"
			}
			away(w)
			spares(w.apply("shop"), 1, true)
			for range 20 {
				w.rest()
				if g, has := w.grants["shop"][from]; !has || g.Withdraw {
					t.Fatalf("nobody runs it:\n%s", w)
				}
				w.obeyAll()
				w.later(time.Second)
			}
			if r := w.running("shop"); r == nil || r.Status.Message != from+" keeps it until eu1 runs it" {
				t.Errorf("it is not said:\n%s", w)
			}
			w.speak("eu")
			w.clusters["eu1"].looking = false
			w.settle()
			w.is("eu1 shop 2")
		})
	}
}

// TestWhoMayLoseABundleAlreadyTakesNobodyAlong: of two clusters in a fault domain that is in change, one is healthy with it, and keeps it.
func TestWhoMayLoseABundleAlreadyTakesNobodyAlong(t *testing.T) {
	w := newWorld(t, "ap1", "ap2", "eu1", "eu2")
	w.clusters["eu1"].labels["spare"], w.clusters["eu2"].labels["spare"] = "yes", "yes"
	spares(w.apply("shop"), 2, false)
	w.settle()
	spares(w.apply("shop"), 2, false)
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthInProgress)
	w.rest()
	spares(w.apply("shop"), 2, true)
	for range 60 {
		w.rest()
		if g, has := w.grants["shop"]["ap1"]; (!has || g.Withdraw) && w.clusters["eu1"].sound["shop"] == 0 {
			t.Fatalf("ap1 was healthy with it, and loses it before another has it:\n%s", w)
		}
		w.obeyAll()
		w.later(time.Second)
	}
	w.is("eu1 shop 3", "eu2 shop 3")
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
