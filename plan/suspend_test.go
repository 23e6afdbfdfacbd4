package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestASuspendedBundleGoesNoFurther(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Annotations = map[string]string{v1alpha1.AnnotationSuspended: "moving disks"}
	w.rest()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Paused []: bundle shop is suspended: moving disks")
	w.bundles["shop"].Annotations = nil
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

// TestWhoIsSuspendedWithAGrantKeepsItsFaultDomain: it does what it was granted when it is suspended no more, whatever came meanwhile.
func TestWhoIsSuspendedWithAGrantKeepsItsFaultDomain(t *testing.T) {
	for name, row := range map[string]struct {
		then func(*world)
		ends []string
	}{
		"a newer change": {func(w *world) { w.apply("shop") }, []string{"ap1 shop 3", "ap2 shop 3", "eu1 shop 3", "eu2 shop 3", "us1 shop 3", "us2 shop 3"}},
		"not there":      {func(w *world) { w.apply("shop", "ap1", "eu1", "us1") }, []string{"ap1 shop 3", "eu1 shop 3", "us1 shop 3"}},
		"a deletion":     {func(w *world) { w.erase("shop") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			w.apply("shop")
			w.rest()
			w.clusters["ap2"].looking = true
			w.obey("ap1", "shop", v1alpha1.HealthReady)
			w.rest()
			row.then(w)
			w.settle()
			if in := w.newest("shop").Status.InChange; !slices.Equal(in, []string{"ap"}) {
				t.Errorf("ap2 may do yet what it was granted, and in change is %v:\n%s", in, w)
			}
			w.clusters["ap2"].looking = false
			w.settle()
			if w.is(row.ends...); len(w.wrong) > 0 {
				t.Error(w.wrong)
			}
		})
	}
}

func TestWhatAWaveGoesOnDespiteIsTakenBackFromWhoOnlyLooks(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.clusters["ap2"].looking = true
	w.obeyAll()
	w.late()
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Resumed, o.Despite = 1, []string{"ap2"} })
	w.later(time.Second)
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2 held", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running [eu]: wave 2 of 3, eu: waits for eu1, eu2")
	w.clusters["ap2"].looking = false
	w.settle()
	if w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2"); len(w.wrong) > 0 {
		t.Error(w.wrong)
	}
}

// TestNoNumberOfFailuresBearsWithWhoOnlyLooks: its withdrawal is late, and comes when it is suspended no more.
func TestNoNumberOfFailuresBearsWithWhoOnlyLooks(t *testing.T) {
	for name, begin := range map[string]func(*world){
		"one that runs it": func(w *world) {
			w.apply("shop", "ap1", "eu1", "eu2", "us1", "us2")
			w.rest()
			w.clusters["ap2"].looking = true
		},
		"one that never ran it": func(w *world) {
			w.apply("cart", "ap2")
			w.rest()
			w.clusters["ap2"].looking = true
			w.erase("cart")
			w.rest()
			w.apply("shop", "eu1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			w.failures = 1
			begin(w)
			w.rest()
			w.obeyAll()
			w.late()
			w.obeyAll()
			w.late()
			if r := w.rollouts["shop-00000001-2"]; r.Status.Phase == v1alpha1.RolloutComplete || len(w.wrong) > 0 {
				t.Errorf("%s\n%v", w, w.wrong)
			}
		})
	}
}

// judgeSuspended says that no wave of a suspended bundle is to be healthy by any time.
func (w *world) judgeSuspended(r *v1alpha1.Rollout) {
	b := w.bundles[r.Spec.Bundle]
	if b == nil || v1alpha1.Suspension(b) == "" {
		return
	}
	for i, s := range r.Status.Waves {
		if s.Open() && s.Due != nil {
			w.unsaid = append(w.unsaid, fmt.Sprintf("wave %d of %s is to be healthy by %s, and %s", i+1, r.Name, s.Due, v1alpha1.Suspension(b)))
		}
	}
}

// A member whose bundle is suspended does nothing of it, and tells of no health: neither is a failure.
func TestASuspendedBundleIsNotLate(t *testing.T) {
	for name, health := range map[string]v1alpha1.Health{"not healthy yet": v1alpha1.HealthInProgress, "while it soaks": v1alpha1.HealthReady} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			w.rollout.OnFailure, w.rollout.Soak = v1alpha1.OnFailureRollback, &metav1.Duration{Duration: time.Minute}
			w.apply("shop")
			w.rest()
			w.obey("ap1", "shop", health)
			w.obey("ap2", "shop", health)
			w.rest()
			w.bundles["shop"].Annotations = map[string]string{v1alpha1.AnnotationSuspended: "moving disks"}
			w.rest()
			w.obey("ap1", "shop", v1alpha1.HealthUnknown)
			w.obey("ap2", "shop", v1alpha1.HealthUnknown)
			w.late()
			w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Paused [ap]: bundle shop is suspended: moving disks")
			w.bundles["shop"].Annotations = nil
			w.later(time.Second)
			w.rest()
			if r := w.newest("shop"); r.Status.Stops > 0 || r.Status.Waves[0].Due == nil {
				t.Fatalf("it has no time anew: %s", w)
			}
			w.late()
			if r := w.rollouts["shop-00000001-2"]; r.Status.Phase != v1alpha1.RolloutRolledBack {
				t.Errorf("what does not get there after that is late: %s", w)
			}
		})
	}
}
