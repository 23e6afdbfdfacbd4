package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func TestABundleWaitsForThoseThatItDependsOn(t *testing.T) {
	w := newWorld(t, "eu1", "eu2", "us1")
	w.apply("app", "eu1", "eu2").Spec.DependsOn = []string{"base"}
	w.rest()
	w.is("app-00000001-1 Pending []: waits for bundle base, which is not there; write it, or take it out of spec.dependsOn")
	w.apply("base", "eu1", "us1") // not in eu2
	w.rest()
	waits := "app-00000001-1 Pending []: eu waits for bundle base, which is not ready in eu1: hanse explain base"
	w.is("eu1 base 1", waits, "base-00000002-1 Running [eu]: wave 1 of 2, eu: waits for eu1")
	w.obey("eu1", "base", v1alpha1.HealthInProgress)
	w.rest()
	w.is("eu1 base 1", waits, "base-00000002-1 Running [eu]: wave 1 of 2, eu: waits for eu1")
	w.obey("eu1", "base", v1alpha1.HealthReady)
	w.rest()
	w.settle()
	w.is("eu1 app 1", "eu2 app 1", "eu1 base 1", "us1 base 1")

	w.apply("app", "eu1", "eu2").Spec.DependsOn = []string{"base"}
	w.apply("base", "eu1", "us1")
	w.rest()
	w.is("eu1 app 1", "eu2 app 1", "eu1 base 2", "us1 base 1",
		"app-00000001-2 Pending []: eu waits for bundle base, which is not ready in eu1: hanse explain base",
		"base-00000002-2 Running [eu]: wave 1 of 2, eu: waits for eu1")
	w.settle()
	w.is("eu1 app 2", "eu2 app 2", "eu1 base 2", "us1 base 2")
}

// What has a fault domain waits for no bundle there: that one may be waiting for the domain.
func TestABundleThatHasAFaultDomainDoesNotWaitInIt(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "eu2")
	w.apply("base", "ap1", "eu1", "eu2")
	one := intstr.FromInt32(1)
	app := func() {
		b := w.apply("app", "eu1", "eu2")
		b.Spec.DependsOn, b.Spec.Rollout = []string{"base"}, &v1alpha1.BundleRollout{Canary: &one}
	}
	app()
	w.settle()
	app()
	w.rest()
	w.is("eu1 app 2", "eu2 app 1", "ap1 base 1", "eu1 base 1", "eu2 base 1", "app-00000002-2 Running [eu]: wave 1 of 2, eu: waits for eu1")
	w.apply("base", "ap1", "eu1", "eu2")
	w.rest()
	if why := w.newest("base").Status.Message; why != "eu waits for its turn behind app" {
		t.Errorf("base: %s", why)
	}
	w.settle()
	w.is("eu1 app 2", "eu2 app 2", "ap1 base 2", "eu1 base 2", "eu2 base 2")
}

// A cluster that the bundle itself waits for no more keeps its dependents out of no fault domain.
func TestWhoeverABundleGoesOnWithoutHoldsUpNoneThatDependOnIt(t *testing.T) {
	sick := func(t *testing.T, failures int32) *world {
		w := newWorld(t, "ap1", "ap2", "eu1")
		w.failures = failures
		w.apply("base")
		w.rest()
		w.obey("ap1", "base", v1alpha1.HealthReady)
		w.obey("ap2", "base", v1alpha1.HealthFailed)
		w.rest()
		w.apply("app", "ap1", "ap2").Spec.DependsOn = []string{"base"}
		return w
	}
	goOn := func(w *world) {
		w.later(10 * time.Second)
		w.rest()
		w.obey("eu1", "base", v1alpha1.HealthReady)
		w.rest()
	}
	t.Run("nobody said so yet", func(t *testing.T) {
		w := sick(t, 0)
		goOn(w)
		if why := w.newest("app").Status.Message; why != "ap waits for bundle base, which is not ready in ap2: hanse explain base" {
			t.Error(why)
		}
	})
	t.Run("a person said to go on despite it", func(t *testing.T) {
		w := sick(t, 0)
		goOn(w)
		o := &w.newest("base").Spec.Orders
		o.Resumed, o.Despite = 1, []string{"ap2"}
		w.rest()
		w.obeyOf("app")
		goOn(w)
		if phase := w.newest("base").Status.Phase; phase != v1alpha1.RolloutComplete || len(w.newest("app").Status.InChange) == 0 {
			t.Errorf("%s", w)
		}
	})
	t.Run("the change is complete without it", func(t *testing.T) {
		w := sick(t, 1)
		goOn(w)
		if phase := w.newest("base").Status.Phase; phase != v1alpha1.RolloutComplete || len(w.newest("app").Status.InChange) == 0 {
			t.Errorf("%s", w)
		}
		w.apply("base") // a newer one waits for it anew
		w.rest()
		w.obeyOf("app")
		w.apply("app", "ap1", "ap2").Spec.DependsOn = []string{"base"}
		w.rest()
		if why := w.newest("app").Status.Message; !strings.Contains(why, "waits for bundle base, which is not ready in ap1, ap2") {
			t.Errorf("%s: %s", why, w)
		}
	})
}

func TestABundleWaitsInEachStageForItsOwnClustersOnly(t *testing.T) {
	w := stagedWorld(t)
	w.apply("base").Spec.Rollout = &v1alpha1.BundleRollout{Stages: canaryFirst()}
	w.rest()
	for range 3 { // a canary after the other; the others wait for a person
		w.obeyOf("base")
		w.rest()
	}
	b := w.apply("shop")
	b.Spec.DependsOn, b.Spec.Rollout = []string{"base"}, &v1alpha1.BundleRollout{Stages: canaryFirst()}
	w.rest()
	if r := w.newest("shop"); len(r.Status.InChange) == 0 {
		t.Errorf("%s", w)
	}
}

func TestWhoDependsOnWhomGoesRound(t *testing.T) {
	on := map[string][]string{"app": {"web", "base"}, "web": {"base"}, "base": {"db"}, "a": {"b"}, "b": {"c", "a"}, "loop": {"a"}}
	for bundle, want := range map[string][]string{
		"app": nil, "db": nil, "unknown": nil, "a": {"a", "b", "a"}, "b": {"b", "a", "b"},
		"loop": nil, // it is not on the way round
	} {
		got := plan.Cycle(bundle, func(b string) []string { return on[b] })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", bundle, diff)
		}
	}
}
