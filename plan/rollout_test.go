package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// is compares the world with lines.
func (w *world) is(lines ...string) {
	w.t.Helper()
	if diff := cmp.Diff(strings.Join(lines, "\n"), w.String()); diff != "" {
		w.t.Error(diff)
	}
}

// sixClusters have the first revision of shop, in three regions.
func sixClusters(t *testing.T) *world {
	w := newWorld(t, "ap1", "ap2", "eu1", "eu2", "us1", "us2")
	w.apply("shop")
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
	return w
}

func TestAChangeGoesOneFaultDomainAfterTheOther(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [ap]: wave 1 of 3, ap: waits for ap1, ap2")
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [ap]: wave 1 of 3, ap: waits for ap2")
	w.obey("ap2", "shop", v1alpha1.HealthReady)
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [eu]: wave 2 of 3, eu: waits for eu1, eu2")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	if r := w.rollouts["shop-00000001-2"]; r.Status.Phase != v1alpha1.RolloutComplete || r.Status.Wave != 3 {
		t.Errorf("%+v", r.Status)
	}
}

func TestAWaveSoaksBeforeTheNext(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Soak: &metav1.Duration{Duration: 10 * time.Second}}
	w.rest()
	w.obeyAll()
	w.rest()
	w.later(5 * time.Second)
	w.obey("ap1", "shop", v1alpha1.HealthInProgress)
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.rest()
	w.later(9 * time.Second)
	w.rest()
	if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"ap"}) {
		t.Errorf("who was not healthy for a moment soaks from the start: %v", in)
	}
	w.later(time.Second)
	w.rest()
	if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"eu"}) {
		t.Errorf("the next one begins: %v", in)
	}
}

// badChange is a fleet in which a change has failed in ap2.
func badChange(t *testing.T) *world {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthFailed)
	w.rest()
	w.later(10 * time.Second)
	w.rest()
	return w
}

func TestABadChangeStopsInTheFirstFaultDomain(t *testing.T) {
	w := badChange(t)
	stopped := []string{"ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Failed [ap]: it fails in ap2: its objects are not healthy"}
	w.is(stopped...)
	t.Run("others may go on there, and nowhere else", func(t *testing.T) {
		w.apply("cart")
		w.rest()
		w.obeyOf("cart")
		w.rest()
		if r := w.newest("cart"); r.Status.Wave != 1 || !strings.Contains(r.Status.Message, "behind shop") {
			t.Errorf("%s", w)
		}
	})
	t.Run("a newer change begins where it failed", func(t *testing.T) {
		w.apply("shop")
		w.rest()
		if r := w.newest("shop"); r.Spec.Generation != 3 || r.Status.Wave != 1 || r.Spec.Waves[0].Domain != "ap" {
			t.Errorf("%s", w)
		}
		w.settle()
		if len(w.wrong) > 0 || strings.Contains(w.String(), "shop 2") || strings.Contains(w.String(), "Running") {
			t.Errorf("%v\n%s", w.wrong, w)
		}
	})
}

// obeyOf lets every cluster carry out one bundle.
func (w *world) obeyOf(bundle string) {
	for name := range w.clusters {
		w.obey(name, bundle, v1alpha1.HealthReady)
	}
}

func TestAPersonDecidesAboutARolloutThatFailed(t *testing.T) {
	order := func(w *world, f func(*v1alpha1.RolloutOrders)) {
		f(&w.rollouts["shop-00000001-2"].Spec.Orders)
		w.rest()
	}
	t.Run("resume, and it fails again", func(t *testing.T) {
		w := badChange(t)
		order(w, func(o *v1alpha1.RolloutOrders) { o.Resumed = 1 })
		w.later(10 * time.Second)
		w.rest()
		if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutFailed || r.Status.Stops != 2 {
			t.Errorf("%+v", r.Status)
		}
	})
	t.Run("resume, and it was mended", func(t *testing.T) {
		w := badChange(t)
		order(w, func(o *v1alpha1.RolloutOrders) { o.Resumed = 1 })
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	})
	t.Run("go on despite", func(t *testing.T) {
		w := badChange(t)
		order(w, func(o *v1alpha1.RolloutOrders) { o.Resumed, o.Despite = 1, []string{"ap2"} })
		if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"eu"}) {
			t.Errorf("in change: %v", in)
		}
	})
	t.Run("go on despite one that is not heard", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		w.obey("ap1", "shop", v1alpha1.HealthReady)
		w.silence("ap2")
		w.later(10 * time.Second)
		order(w, func(o *v1alpha1.RolloutOrders) { o.Despite = []string{"ap2"} })
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2 held", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
		w.speak("ap2")
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
		for _, wrong := range w.wrong {
			t.Error(wrong)
		}
	})
	t.Run("abort", func(t *testing.T) {
		w := badChange(t)
		order(w, func(o *v1alpha1.RolloutOrders) { o.Aborted = true })
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2 held", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
		w.join("eu3")
		w.settle()
		if g := w.grants["shop"]["eu3"]; grantText(g) != "1" {
			t.Errorf("who joins gets the last good revision: %+v", g)
		}
	})
	t.Run("pause and go on", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		order(w, func(o *v1alpha1.RolloutOrders) { o.Paused = true })
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Paused []: a person paused it")
		order(w, func(o *v1alpha1.RolloutOrders) { o.Paused = false })
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	})
	t.Run("all at once", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		order(w, func(o *v1alpha1.RolloutOrders) { o.AllAtOnce = true })
		if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"ap", "eu", "us"}) {
			t.Errorf("in change: %v", in)
		}
	})
}

func TestWhatGoesAllAtOnceTakesNothingWithIt(t *testing.T) {
	hurried := func(w *world) {
		w.apply("shop")
		w.rest()
		w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.AllAtOnce = true })
		w.rest()
	}
	t.Run("another bundle waits for its turn", func(t *testing.T) {
		w := sixClusters(t)
		hurried(w)
		w.apply("cart")
		w.rest()
		if in := w.newest("cart").Status.InChange; !cmp.Equal(in, []string{"ap"}) {
			t.Errorf("cart is in change in %v", in)
		}
		w.settle()
		w.is("ap1 cart 1", "ap2 cart 1", "eu1 cart 1", "eu2 cart 1", "us1 cart 1", "us2 cart 1", "ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
		if len(w.wrong) > 0 {
			t.Error(w.wrong)
		}
	})
	t.Run("a newer change goes in turn, and the other stays where it is", func(t *testing.T) {
		w := sixClusters(t)
		hurried(w)
		w.obey("us1", "shop", v1alpha1.HealthReady)
		w.apply("shop")
		w.rest()
		w.is("ap1 shop 3", "ap2 shop 3", "eu1 shop 2 held", "eu2 shop 2 held", "us1 shop 2", "us2 shop 2 held", "shop-00000001-3 Running [ap]: wave 1 of 3, ap: waits for ap1, ap2")
		w.settle()
		w.is("ap1 shop 3", "ap2 shop 3", "eu1 shop 3", "eu2 shop 3", "us1 shop 3", "us2 shop 3")
		if len(w.wrong) > 0 {
			t.Error(w.wrong)
		}
	})
}

func TestWhoIsAwayIsOwedAndBlocksNothing(t *testing.T) {
	w := sixClusters(t)
	w.silence("eu1")
	w.later(10 * time.Second)
	w.apply("shop")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	if owed := w.newest("shop").Status.Owed; !cmp.Equal(owed, []string{"eu1"}) {
		t.Errorf("owed: %v", owed)
	}
	w.speak("eu1")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	if r := w.rollouts["shop-00000001-2.2"]; r == nil || r.Status.Phase != v1alpha1.RolloutComplete {
		t.Errorf("it was given by a rollout of its own: %+v", r)
	}
}

func TestAClusterLostAfterItsGrantStopsTheRollout(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.silence("ap2")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running [ap]: ap2 was lost after it was granted the change")
	w.remove("ap2")
	w.settle()
	w.is("ap1 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

func TestALostFaultDomainIsHeldAndLetGo(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.rest()
	w.silence("ap")
	w.settle()
	failed := "shop-00000001-2 Failed []: fault domain ap was lost while it was in change"
	w.is("ap1 shop 2", "ap2 shop 2 held", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", failed)
	w.apply("cart", "ap1", "eu1", "us1")
	w.settle()
	w.is("eu1 cart 1", "us1 cart 1", "ap1 shop 2", "ap2 shop 2 held", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", failed)
	w.speak("ap")
	w.settle()
	w.is("ap1 cart 1", "eu1 cart 1", "us1 cart 1", "ap1 shop 2", "ap2 shop 2 held", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", failed)
	w.rollouts["shop-00000001-2"].Spec.Orders.Resumed = 1
	w.settle()
	w.is("ap1 cart 1", "eu1 cart 1", "us1 cart 1", "ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	if len(w.wrong) > 0 {
		t.Error(w.wrong)
	}
}

func TestAFleetMayStandStillWhileAFaultDomainIsLost(t *testing.T) {
	w := sixClusters(t)
	w.fleet.WhileLost = v1alpha1.WhileLostFreeze
	w.silence("us")
	w.later(time.Minute)
	w.apply("shop")
	w.settle()
	paused := "shop-00000001-2 Paused []: fault domain us is lost, and the fleet is to stand still meanwhile"
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", paused)
	w.fleet.WhileLost = v1alpha1.WhileLostSurvivors
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1")
	w.fleet.WhileLost = v1alpha1.WhileLostFreeze
	w.apply("shop")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1", "shop-00000001-3 Paused []: fault domain us is lost, and the fleet is to stand still meanwhile")
	w.speak("us")
	w.settle()
	w.is("ap1 shop 3", "ap2 shop 3", "eu1 shop 3", "eu2 shop 3", "us1 shop 3", "us2 shop 3")
}

func TestARolloutThatBeganBeforeALossWaitsItOut(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.silence("us")
	w.later(time.Minute)
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Paused []: it began before fault domain us was lost")
	t.Run("a newer one goes to the survivors", func(t *testing.T) {
		w.apply("shop")
		w.settle()
		w.is("ap1 shop 3", "ap2 shop 3", "eu1 shop 3", "eu2 shop 3", "us1 shop 1", "us2 shop 1")
	})
	t.Run("who was lost gets it on return", func(t *testing.T) {
		w.speak("us")
		w.settle()
		w.is("ap1 shop 3", "ap2 shop 3", "eu1 shop 3", "eu2 shop 3", "us1 shop 3", "us2 shop 3")
	})
}

func TestAFaultDomainThatIsLostAgainStopsWhatBeganWithoutIt(t *testing.T) {
	w := sixClusters(t)
	w.silence("eu")
	w.later(40 * time.Second)
	w.rest()
	w.apply("shop")
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [ap]: wave 1 of 2, ap: waits for ap1, ap2")
	t.Run("another leader does not take it for another loss", func(t *testing.T) {
		w.began, w.logged = w.now, w.now
		w.rest()
		w.later(40 * time.Second)
		w.rest()
		if lost := w.newest("shop").Status.Lost; len(lost) > 0 {
			t.Errorf("%v: %s", lost, w)
		}
	})
	w.speak("eu")
	w.later(time.Second)
	w.rest()
	w.silence("eu")
	w.later(40 * time.Second)
	w.rest()
	w.obeyAll()
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Paused []: it began before fault domain eu was lost")
	w.speak("eu")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

// TestWhoIsResumedWithoutAFaultDomainGoesOnWithoutIt: that a person says so holds for the rollout, also when the domain is lost once more.
func TestWhoIsResumedWithoutAFaultDomainGoesOnWithoutIt(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.silence("us")
	w.later(40 * time.Second)
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Paused [ap]: it began before fault domain us was lost")
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Without = []string{"us"} })
	w.speak("us")
	w.later(time.Second)
	w.rest()
	w.silence("us")
	w.later(40 * time.Second)
	w.rest()
	w.obeyAll()
	w.later(time.Second)
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [eu]: wave 2 of 2, eu: waits for eu1, eu2")
}

func TestWhoJoinsGetsTheLastGoodRevisionFirst(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.join("ap3")
	w.rest()
	w.obeyAll()
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "ap3 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [ap]: wave 4 of 4, ap: waits for ap3")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "ap3 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

// TestWhoJoinsGetsTheLastGoodRevisionWhileAPersonIsWaitedFor: the change waits as before, in the fault domain of who joins, too, and keeps nothing in
// change, so others go on.
func TestWhoJoinsGetsTheLastGoodRevisionWhileAPersonIsWaitedFor(t *testing.T) {
	for name, row := range map[string]struct {
		waits, goOn func(*v1alpha1.Rollout)
		says        string
	}{
		"until it is let into a fault domain": {
			func(r *v1alpha1.Rollout) {},
			func(r *v1alpha1.Rollout) { r.Spec.Orders.Approved = []string{"ap", "eu", "us"} },
			"shop-00000001-2 Paused []: a person must let it into ap: hanse rollout approve shop-00000001-2 ap",
		},
		"that paused it": {
			func(r *v1alpha1.Rollout) {
				r.Spec.Orders.Approved, r.Spec.Orders.Paused = []string{"ap", "eu", "us"}, true
			},
			func(r *v1alpha1.Rollout) { r.Spec.Orders.Paused = false },
			"shop-00000001-2 Paused []: a person paused it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			w.fleet.Freeze = &v1alpha1.Freeze{} // until a person has said so
			w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain}
			w.rest()
			row.waits(w.newest("shop"))
			w.fleet.Freeze = nil
			w.settle()
			since := w.newest("shop").Status.Since
			w.join("us3")
			w.rest()
			w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "us3 shop 1", strings.Replace(row.says, "[]", "[us]", 1))
			w.settle()
			w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "us3 shop 1", row.says)
			if now := w.newest("shop").Status.Since; !now.Equal(since) {
				t.Errorf("it waits since %s, and waited since %s", now, since)
			}
			w.apply("cart")
			w.settle()
			if r := w.newest("cart"); r.Status.Phase != v1alpha1.RolloutComplete {
				t.Errorf("another bundle waits: %s", w)
			}
			row.goOn(w.newest("shop"))
			w.rest()
			if g := w.grants["shop"]; grantText(g["ap1"]) != "2" || grantText(g["us1"]) != "1" {
				t.Errorf("it goes on elsewhere than where its turn is: %s", w)
			}
			w.settle()
			if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || grantText(w.grants["shop"]["us3"]) != "2" || len(w.wrong) > 0 {
				t.Errorf("%v %s", w.wrong, w)
			}
		})
	}
}

// TestWhoJoinsGetsWhatTheFleetRuns: the change went through, and runs again for one that came back.
func TestWhoJoinsGetsWhatTheFleetRuns(t *testing.T) {
	w := sixClusters(t)
	w.silence("us2")
	w.later(10 * time.Second)
	w.apply("shop")
	w.settle()
	w.speak("us2")
	w.rest()
	w.join("eu3")
	for range 10 {
		w.rest()
		if g, has := w.grants["shop"]["eu3"]; has && grantText(g) != "2" {
			t.Fatalf("eu3 is given what nobody runs any more:\n%s", w)
		}
		w.obeyAll()
		w.later(time.Second)
	}
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "eu3 shop 2", "us1 shop 2", "us2 shop 2")
}

func TestADeletedBundleLeavesOneFaultDomainAfterTheOther(t *testing.T) {
	w := sixClusters(t)
	w.erase("shop")
	w.rest()
	w.is("ap1 shop withdraw", "ap2 shop withdraw", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-withdrawal Running [ap]: wave 1 of 3, ap: waits for ap1, ap2")
	w.apply("shop")
	w.rest()
	w.is("ap1 shop withdraw", "ap2 shop withdraw", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000002-1 Running [ap]: wave 1 of 3, ap: waits for ap1, ap2")
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
	if len(w.wrong) > 0 {
		t.Error(w.wrong)
	}
	w.erase("shop")
	w.settle()
	w.is("")
}

func TestAWithdrawalThatWasAbortedHoldsUpNoOther(t *testing.T) {
	w := sixClusters(t)
	w.erase("shop")
	w.rest()
	w.rollouts["shop-00000001-withdrawal"].Spec.Orders.Aborted = true
	w.settle()
	w.apply("shop", "us1", "us2")
	w.settle()
	if got := grantText(w.grants["shop"]["us1"]); got != "1" {
		t.Errorf("another of the name is granted %q", got)
	}
	w.erase("shop")
	w.settle()
	for _, c := range []string{"us1", "us2"} {
		if g, there := w.grants["shop"][c]; there {
			t.Errorf("%s still has %+v", c, g)
		}
	}
}

func TestWhoIsPickedNoMoreLosesTheBundleInItsFaultDomain(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop", "ap1", "us1")
	w.rest()
	w.is("ap1 shop 2", "ap2 shop withdraw", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [ap]: wave 1 of 3, ap: waits for ap1, ap2")
	w.settle()
	w.is("ap1 shop 2", "us1 shop 2")
}

func TestACanaryGoesFirst(t *testing.T) {
	w := newWorld(t, "eu1", "eu2", "eu3", "eu4")
	first := intstr.FromString("25%")
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Canary: &first}
	w.rest()
	w.is("eu1 shop 1", "shop-00000001-1 Running [eu]: wave 1 of 2, eu: waits for eu1")
	w.obeyAll()
	w.rest()
	w.is("eu1 shop 1", "eu2 shop 1", "eu3 shop 1", "eu4 shop 1", "shop-00000001-1 Running [eu]: wave 2 of 2, eu: waits for eu2, eu3, eu4")
}

// TestAnotherIsTheCanaryWhereThatIsAway: it is away when its fault domain has its turn.
func TestAnotherIsTheCanaryWhereThatIsAway(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "eu2", "eu3", "eu4")
	w.apply("shop")
	w.settle()
	one := intstr.FromInt32(1)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Canary: &one}
	w.rest()
	w.silence("eu1")
	w.later(10 * time.Second)
	w.obeyAll()
	w.rest()
	w.is("ap1 shop 2", "eu1 shop 1", "eu2 shop 2", "eu3 shop 1", "eu4 shop 1", "shop-00000001-2 Running [eu]: wave 2 of 3, eu: waits for eu2")
	w.silence("eu3")
	w.later(10 * time.Second)
	w.obeyAll()
	w.rest()
	w.is("ap1 shop 2", "eu1 shop 1", "eu2 shop 2", "eu3 shop 1", "eu4 shop 2", "shop-00000001-2 Running [eu]: wave 3 of 3, eu: waits for eu4")
}

func TestAFreezeGrantsNothing(t *testing.T) {
	w := sixClusters(t)
	w.fleet.Freeze = &v1alpha1.Freeze{Reason: "black friday"}
	w.apply("shop")
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Paused []: the fleet is frozen: black friday")
	w.fleet.Freeze = nil
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

func TestAFaultDomainMayNeedAPerson(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain}
	w.settle()
	r := w.rollouts["shop-00000001-2"]
	if r.Status.Wave != 0 || !strings.Contains(r.Status.Message, "a person must let it into") {
		t.Errorf("%+v", r.Status)
	}
	r.Spec.Orders.Approved = []string{"eu", "us"}
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2",
		"shop-00000001-2 Paused []: a person must let it into ap: hanse rollout approve shop-00000001-2 ap")
}

func TestWhatIsOwedWhereAPersonLetTheChangeInIsNotAskedAboutAgain(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain}
	w.silence("us2")
	w.rest()
	w.rollouts["shop-00000001-2"].Spec.Orders.Approved = []string{"ap", "eu", "us"}
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 1")
	w.speak("us2")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

func TestANewerChangeNeedsItsOwnApproval(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain}
	w.rest()
	w.rollouts["shop-00000001-2"].Spec.Orders.Approved = []string{"ap"}
	w.rest()
	w.apply("shop") // while ap is in change
	w.rest()
	if g := w.grants["shop"]["ap1"]; grantText(g) != "2" {
		t.Errorf("nobody let it in, and ap1 is granted %s", grantText(g))
	}
	w.rollouts["shop-00000001-3"].Spec.Orders.Approved = []string{"ap"}
	w.rest()
	if g := w.grants["shop"]["ap1"]; grantText(g) != "3" {
		t.Errorf("a person let it in, and ap1 is granted %s", grantText(g))
	}
}

func TestWhoCannotRenderAChangeStopsIt(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	had := w.clusters["ap1"].runs["shop"]
	had.Grant, had.Health, had.Problems = w.grants["shop"]["ap1"].At, v1alpha1.HealthFailed, []v1alpha1.Problem{{Reason: v1alpha1.ReasonNotRendered}}
	w.clusters["ap1"].runs["shop"] = had
	w.rest()
	w.later(10 * time.Second)
	w.rest()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutFailed {
		t.Errorf("%+v", r.Status)
	}
}

func TestWhatWasSaidOfAnEarlierGrantSettlesNothing(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.obeyAll()
	w.write(plan.Step{Bundle: "shop", Grants: maps.Clone(w.grants["shop"])}) // the same once more
	w.rest()
	if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"ap"}) {
		t.Errorf("in change: %v", in)
	}
	w.obeyAll()
	w.rest()
	if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"eu"}) {
		t.Errorf("in change: %v", in)
	}
}

func TestTwoRolloutsAreInOneFaultDomainAtATime(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.apply("cart")
	w.settle()
	if len(w.wrong) > 0 {
		t.Error(w.wrong)
	}
	w.is("ap1 cart 1", "ap2 cart 1", "eu1 cart 1", "eu2 cart 1", "us1 cart 1", "us2 cart 1", "ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

func TestAWaveFitsIntoAnEntryOfTheLog(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("eu%d", 1000+i))
	}
	w := newWorld(t, names...)
	most, decide := 0, w.decide
	w.decide = func(s plan.Situation) []plan.Step {
		steps := decide(s)
		for _, step := range steps {
			most = max(most, len(step.Grants))
		}
		return steps
	}
	w.apply("shop")
	w.settle()
	if n := len(w.newest("shop").Spec.Waves); n != 4 || most != 300 {
		t.Errorf("%d waves, %d clusters at once at most", n, most)
	}
	t.Run("all at once, too", func(t *testing.T) {
		w.apply("shop")
		w.pass()
		w.newest("shop").Spec.Orders.AllAtOnce = true
		w.rest()
		if r := w.newest("shop"); r.Status.Waves[3].Granted == nil || most != 300 {
			t.Errorf("%d clusters at once at most: %s", most, r.Status.Message)
		}
	})
	t.Run("and a withdrawal", func(t *testing.T) {
		w.settle()
		w.erase("shop")
		w.settle()
		if len(w.tombs) != 0 || most != 300 {
			t.Errorf("%d clusters at once at most, %d tombstones", most, len(w.tombs))
		}
	})
}

// TestARolloutSaysWhatItWaitsForAndSinceWhen: in a word, so that who reads it needs no sentence.
func TestARolloutSaysWhatItWaitsForAndSinceWhen(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	is := func(reason v1alpha1.RolloutReason, blocked string) time.Time {
		t.Helper()
		r := w.newest("shop").Status
		if r.Reason != reason || r.Blocked != blocked || r.Since == nil {
			t.Fatalf("%s since %v, kept by %q; want %s, %q", r.Reason, r.Since, r.Blocked, reason, blocked)
		}
		return r.Since.Time
	}
	is(v1alpha1.RolloutWaitsForWaves, "")
	w.later(time.Minute)
	w.fleet.Freeze = &v1alpha1.Freeze{}
	w.rest()
	frozen := is(v1alpha1.RolloutFrozen, "")
	if frozen.Before(w.now) {
		t.Errorf("frozen since %v, and it is %v", frozen, w.now)
	}
	w.later(time.Minute)
	w.rest()
	if !is(v1alpha1.RolloutFrozen, "").Equal(frozen) {
		t.Error("its time moves while it waits for the same")
	}
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Paused = true })
	is(v1alpha1.RolloutWaitsForResume, "")
	w.bundles["shop"].Annotations = map[string]string{v1alpha1.AnnotationSuspended: "disks"}
	w.rest()
	is(v1alpha1.RolloutSuspended, "")
	w.bundles["shop"].Annotations, w.fleet.Freeze = nil, nil
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Paused = false })
	w.silence("ap2")
	w.later(time.Minute)
	w.rest()
	is(v1alpha1.RolloutClusterLost, "ap2")
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Despite = []string{"ap2"} })
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2 held", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

func TestAFaultDomainThatWaitsForAPersonIsAWait(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain}
	w.rest()
	waits := func() *v1alpha1.RolloutWait { return w.newest("shop").Status.Wait }
	first := waits()
	if first == nil || first.For != v1alpha1.WaitForApproval || first.Domain != "ap" || w.newest("shop").Status.Phase != v1alpha1.RolloutPaused {
		t.Fatalf("%+v: %s", first, w)
	}
	w.later(time.Hour)
	w.rest()
	if !waits().Since.Equal(&first.Since) {
		t.Error("its time moves")
	}
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Approved = []string{"ap"} })
	if r := w.newest("shop"); r.Status.Wait != nil || r.Status.Phase != v1alpha1.RolloutRunning {
		t.Errorf("while ap changes nobody is asked: %s", w)
	}
	w.settle()
	if got := waits(); got == nil || got.Domain != "eu" || !got.Since.After(first.Since.Time) {
		t.Errorf("%+v", got)
	}
}

func TestWhileAWaveIsOpenNobodyIsAskedForAnotherDomain(t *testing.T) {
	one := intstr.FromInt32(1)
	w := sixClusters(t)
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain, Canary: &one}
	w.rest()
	w.newest("shop").Spec.Orders.Approved = []string{"us"}
	waves := map[int32]bool{}
	for range 20 {
		w.pass()
		r := w.newest("shop")
		if !slices.ContainsFunc(r.Status.Waves, v1alpha1.WaveStatus.Open) {
			w.obeyAll()
			continue
		}
		waves[r.Status.Wave] = true
		if r.Status.Wait != nil || r.Status.Phase != v1alpha1.RolloutRunning {
			t.Errorf("wave %d, %s: %+v", r.Status.Wave, r.Status.Phase, r.Status.Wait)
		}
		w.obeyAll()
		w.later(time.Second)
	}
	if r := w.newest("shop"); len(waves) != 2 || r.Status.Wait == nil || r.Status.Wait.Domain != "ap" {
		t.Errorf("after the waves %v of us: %s", waves, w)
	}
}
