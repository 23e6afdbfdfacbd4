package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// aFailureIsBorne begins a change that may fail in one cluster.
func aFailureIsBorne(t *testing.T) *world {
	w := sixClusters(t)
	w.failures = 1
	w.apply("shop")
	w.rest()
	return w
}

// soundly fails when the lease was broken.
func (w *world) soundly() {
	w.t.Helper()
	for _, wrong := range w.wrong {
		w.t.Error(wrong)
	}
}

func TestWhoWasTooLateInAnEarlierWaveCounts(t *testing.T) {
	w := aFailureIsBorne(t)
	for _, region := range []string{"ap", "eu"} {
		w.obey(region+"1", "shop", v1alpha1.HealthReady)
		w.obey(region+"2", "shop", v1alpha1.HealthInProgress)
		w.late()
	}
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Failed [eu]: it is not healthy in eu2 after 10m0s: its objects are not healthy")
	t.Run("until it is healthy", func(t *testing.T) {
		w.obey("ap2", "shop", v1alpha1.HealthReady)
		w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Resumed = 1 })
		w.late()
		if r := w.newest("shop"); r.Status.Stops != 1 || r.Status.Waves[1].Settled == nil {
			t.Errorf("%s", w)
		}
		w.obey("us1", "shop", v1alpha1.HealthReady)
		w.obey("us2", "shop", v1alpha1.HealthReady)
		w.rest()
		if r := w.newest("shop"); r.Status.Message != "every cluster is healthy but eu2" {
			t.Errorf("%s: %s", r.Status.Phase, r.Status.Message)
		}
	})
	w.soundly()
}

func TestWhoJoinsAgainHasNotFailedYet(t *testing.T) {
	w := aFailureIsBorne(t)
	w.obey("ap1", "shop", v1alpha1.HealthFailed)
	w.obey("ap2", "shop", v1alpha1.HealthReady)
	for range 10 {
		w.later(time.Second)
		w.rest()
	}
	if failed := w.newest("shop").Status.Waves[0].Failed; len(failed) != 1 {
		t.Fatalf("%v: %s", failed, w)
	}
	w.obey("eu1", "shop", v1alpha1.HealthFailed) // borne once ap1 is gone
	w.obey("eu2", "shop", v1alpha1.HealthReady)
	w.remove("ap1")
	w.rest()
	w.join("ap1")
	for range 30 {
		w.rest()
		for _, c := range []string{"eu2", "us1", "us2"} {
			w.obey(c, "shop", v1alpha1.HealthReady)
		}
		w.later(time.Second)
	}
	w.rest()
	if r := w.newest("shop"); r.Status.Stops > 0 || w.grants["shop"]["ap1"].Revision == "" {
		t.Errorf("it stops for what ap1 was before: %q\n%s", r.Status.Stopped, w)
	}
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.settle()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete {
		t.Errorf("%s", w)
	}
	w.soundly()
}

func TestWhoIsSilentIsNotWhoFailed(t *testing.T) {
	w := aFailureIsBorne(t)
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.silence("ap2")
	w.late()
	if r := w.newest("shop"); r.Status.Stopped != "it is not healthy in ap2 after 10m0s: nothing is heard of ap2" {
		t.Errorf("it may do what it was granted when it comes back, and ap was let go: %s", w)
	}
	w.soundly()
}

func TestWhoHasNotTakenItIsNotWhoFailed(t *testing.T) {
	w := aFailureIsBorne(t)
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.late()
	if r := w.newest("shop"); !strings.Contains(r.Status.Stopped, "in ap2 after 10m0s") {
		t.Errorf("%s", w)
	}
	w.soundly()
}

func TestAFailureIsBorneOnceItLasts(t *testing.T) {
	w := aFailureIsBorne(t)
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthFailed)
	w.rest()
	w.later(4 * time.Second)
	w.rest()
	if r := w.newest("shop"); r.Status.Waves[0].Settled != nil {
		t.Errorf("it has failed for a moment: %s", w)
	}
	w.later(2 * time.Second)
	w.rest()
	if r := w.newest("shop"); r.Status.Waves[0].Settled == nil {
		t.Errorf("%s", w)
	}
	w.soundly()
}

func TestASoakWithoutWhoFailedEnds(t *testing.T) {
	w := sixClusters(t)
	w.failures = 1
	w.fleet.Soak.Duration = 20 * time.Minute
	w.apply("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthInProgress)
	w.late()
	w.later(20*time.Minute + time.Second)
	w.rest()
	if r := w.newest("shop"); r.Status.Stops != 0 || r.Status.Waves[0].Settled == nil {
		t.Errorf("%s: %+v", w, r.Status.Waves[0])
	}
	w.soundly()
}

func TestADipBesideWhoFailedStopsTheRolloutOnceItLasts(t *testing.T) {
	w := sixClusters(t)
	w.failures = 1
	w.fleet.Soak.Duration = 20 * time.Minute
	w.apply("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthInProgress)
	w.rest()
	w.late()
	w.obey("ap1", "shop", v1alpha1.HealthInProgress)
	w.rest()
	if r := w.newest("shop"); r.Status.Stops != 0 {
		t.Errorf("it has failed for a moment: %s", w)
	}
	w.later(6 * time.Second)
	w.rest()
	if r := w.newest("shop"); r.Status.Stops != 1 {
		t.Errorf("%s: %+v", w, r.Status.Waves[0])
	}
}
