package plan_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// late lets the deadline of a wave pass, and the failure last.
func (w *world) late() {
	w.later(v1alpha1.DefaultProgressDeadline + time.Second)
	w.rest()
	w.later(6 * time.Second)
	w.rest()
}

func TestWhatIsNotHealthyInTimeStopsTheRollout(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthInProgress)
	w.later(v1alpha1.DefaultProgressDeadline - time.Second)
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [ap]: wave 1 of 3, ap: waits for ap2")
	w.late()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Failed [ap]: it is not healthy in ap2 after 10m0s: its objects are not healthy")
	t.Run("others change that fault domain, and no other", func(t *testing.T) {
		w.apply("cart")
		w.rest()
		w.obeyOf("cart")
		w.rest()
		if r := w.newest("cart"); r.Status.Wave != 1 || !strings.Contains(r.Status.Message, "shop waits for a person: hanse rollout status shop") {
			t.Errorf("%s", w)
		}
	})
	t.Run("who lets it go on gives it as long again", func(t *testing.T) {
		w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Resumed = 1 })
		w.later(v1alpha1.DefaultProgressDeadline - time.Second)
		w.rest()
		if r := w.newest("shop"); r.Status.Stops != 1 {
			t.Errorf("%+v", r.Status)
		}
		w.late()
		if r := w.newest("shop"); r.Status.Stops != 2 {
			t.Errorf("%+v", r.Status)
		}
	})
	t.Run("once it is healthy, it goes on", func(t *testing.T) {
		w.obey("ap2", "shop", v1alpha1.HealthReady)
		w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Resumed = 2 })
		w.settle()
		w.is("ap1 cart 1", "ap2 cart 1", "eu1 cart 1", "eu2 cart 1", "us1 cart 1", "us2 cart 1", "ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	})
}

func TestAWithdrawalThatDoesNotEndStopsTheRollout(t *testing.T) {
	w := sixClusters(t)
	w.erase("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.late()
	w.is("ap2 shop withdraw", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-withdrawal Failed [ap]: it is not gone in ap2 after 10m0s: objects of it are still there")
}

func TestAClusterThatIsSilentTooLongStopsTheRollout(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.silence("ap2")
	w.late()
	if r := w.newest("shop"); r.Status.Stopped != "it is not healthy in ap2 after 10m0s: nothing is heard of ap2" {
		t.Errorf("%+v", r.Status)
	}
}

func TestAFailureThatIsToleratedHoldsUpNothingAfterTheDeadline(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{MaxFailures: 1}
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthInProgress)
	w.late()
	if r := w.newest("shop"); r.Status.Stops != 0 || r.Status.Waves[0].Settled == nil {
		t.Errorf("%s", w)
	}
}

func TestADeadlineOfNothingIsTheDefault(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{ProgressDeadline: &metav1.Duration{}}
	w.rest()
	if d := w.newest("shop").Spec.ProgressDeadline.Duration; d != v1alpha1.DefaultProgressDeadline {
		t.Errorf("it begins with %s", d)
	}
	w.newest("shop").Spec.ProgressDeadline = metav1.Duration{} // as one that is older than deadlines
	w.late()
	if r := w.newest("shop"); r.Status.Stops != 1 {
		t.Errorf("%s", w)
	}
}

func TestWhoWasHealthyInTimeIsNotTooLate(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Soak: &metav1.Duration{Duration: 30 * time.Minute}}
	w.rest()
	w.later(time.Minute)
	w.obeyAll()
	w.rest()
	w.later(20 * time.Minute)
	w.obey("ap2", "shop", v1alpha1.HealthInProgress)
	w.rest()
	w.later(8 * time.Minute)
	w.rest()
	if r := w.newest("shop"); r.Status.Stops != 0 || r.Status.Waves[0].Failing != nil {
		t.Errorf("it was not healthy for 9 minutes in all: %s", w)
	}
	t.Run("until it was not for too long in all", func(t *testing.T) {
		w.obey("ap2", "shop", v1alpha1.HealthReady)
		w.rest()
		w.later(5 * time.Minute)
		w.obey("ap2", "shop", v1alpha1.HealthInProgress)
		w.rest()
		w.later(2 * time.Minute)
		w.rest()
		w.later(6 * time.Second)
		w.rest()
		if r := w.newest("shop"); r.Status.Stops != 1 {
			t.Errorf("%s", w)
		}
	})
}

func TestANewLeaderFindsNobodyTooLate(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.later(time.Hour) // without a quorum
	w.began = w.now
	for range 6 {
		w.rest()
		w.later(5 * time.Second)
	}
	if r := w.newest("shop"); r.Status.Stops != 0 || r.Status.Waves[0].Failing != nil {
		t.Errorf("%s", w)
	}
	w.late()
	if r := w.newest("shop"); r.Status.Stops != 1 {
		t.Errorf("it has as long again, and no longer: %s", w)
	}
}

func TestAChangeEveryFewMinutesDoesNotKeepAFaultDomainForEver(t *testing.T) {
	w := sixClusters(t)
	for range 2 {
		w.apply("shop")
		w.rest()
		w.later(9 * time.Minute)
		w.rest()
	}
	if r := w.newest("shop"); r.Status.Stops != 0 {
		t.Errorf("the newer one has as long again: %s", w)
	}
	w.apply("shop")
	w.rest()
	w.later(3 * time.Minute)
	w.rest()
	w.later(6 * time.Second)
	w.rest()
	if r := w.newest("shop"); r.Spec.Generation != 4 || r.Status.Stops != 1 {
		t.Errorf("%s", w)
	}
	t.Run("a person gives it its whole time", func(t *testing.T) {
		w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Resumed = 1 })
		w.later(9 * time.Minute)
		w.rest()
		if r := w.newest("shop"); r.Status.Stops != 1 {
			t.Errorf("%s", w)
		}
	})
}

// A cluster is unhealthy for four seconds, and healthy for one, for ever.
func TestWhoIsHealthyNowAndThenDoesNotKeepItsFaultDomainForEver(t *testing.T) {
	flap := func(w *world) {
		began := w.now
		w.obey("ap1", "shop", v1alpha1.HealthReady)
		for w.newest("shop").Status.Stops == 0 && w.newest("shop").Status.Waves[0].Settled == nil {
			w.obey("ap2", "shop", v1alpha1.HealthFailed)
			w.rest()
			w.later(4 * time.Second)
			w.rest()
			w.obey("ap2", "shop", v1alpha1.HealthReady)
			w.rest()
			w.later(time.Second)
			if w.rest(); w.now.After(began.Add(time.Hour)) {
				t.Fatalf("it holds its fault domain for an hour: %s", w)
			}
		}
	}
	soak := &metav1.Duration{Duration: 30 * time.Second}
	t.Run("it stops the rollout", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Soak: soak}
		w.rest()
		flap(w)
		if r := w.newest("shop"); r.Status.Stops != 1 {
			t.Errorf("%s", w)
		}
	})
	t.Run("where it may fail, its wave is settled without it", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Soak: soak, MaxFailures: 1}
		w.rest()
		flap(w)
		if r := w.newest("shop"); r.Status.Stops != 0 || r.Status.Waves[0].Settled == nil {
			t.Errorf("%s", w)
		}
	})
}

func TestWhatANewerChangeTakesThePlaceOfSaysThatItRan(t *testing.T) {
	w := sixClusters(t)
	w.fleet.Soak.Duration = 20 * time.Minute
	w.apply("shop")
	w.rest()
	w.obeyOf("shop")
	w.rest()
	soaks := w.running("shop")
	if soaks == nil || soaks.Status.Waves[0].Healthy == nil || soaks.Status.Waves[0].Settled != nil {
		t.Fatalf("the first wave does not soak:\n%s", w)
	}
	w.apply("shop")
	w.rest()
	for _, r := range w.situation().Rollouts {
		if s := r.Status; r.Name == soaks.Name && (s.Phase != v1alpha1.RolloutSuperseded || s.Waves[0].Healthy == nil || !s.Waves[0].Released.Equal(s.Ended)) {
			t.Errorf("%+v", s)
		}
	}
}
