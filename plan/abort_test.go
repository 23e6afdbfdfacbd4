package plan_test

import (
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// orderTo says something to the rollout of a bundle that came last.
func (w *world) orderTo(bundle string, say func(*v1alpha1.RolloutOrders)) {
	say(&w.newest(bundle).Spec.Orders)
	w.rest()
}

func abort(o *v1alpha1.RolloutOrders) { o.Aborted = true }
func goOn(o *v1alpha1.RolloutOrders)  { o.Aborted = false }

// abortedDeletion is a fleet from which the bundle is deleted, and a person ended that in ap.
func abortedDeletion(t *testing.T) *world {
	w := sixClusters(t)
	w.erase("shop")
	w.rest()
	w.orderTo("shop", abort)
	w.settle()
	w.is("ap1 shop withdraw held", "ap2 shop withdraw held", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
	return w
}

func TestAnAbortedDeletionGoesOn(t *testing.T) {
	t.Run("when a person takes the abort back", func(t *testing.T) {
		w := abortedDeletion(t)
		w.orderTo("shop", goOn)
		w.settle()
		w.is()
	})
	t.Run("when a later bundle of the name is deleted", func(t *testing.T) {
		w := abortedDeletion(t)
		w.apply("shop", "us1")
		w.rest()
		w.erase("shop")
		w.settle()
		w.is()
	})
}

func TestAnAbortedChangeGoesOnWhenAPersonTakesTheAbortBack(t *testing.T) {
	w := badChange(t)
	w.orderTo("shop", abort)
	w.settle()
	w.orderTo("shop", goOn)
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}

func TestWhoJoinsAfterTwoAbortsGetsARolloutOfItsOwn(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.orderTo("shop", abort)
	for _, joins := range []string{"eu3", "eu4"} {
		w.later(time.Second)
		w.join(joins)
		w.rest()
		w.orderTo("shop", abort)
	}
	w.join("eu5")
	w.settle()
	if g := w.grants["shop"]["eu5"]; grantText(g) != "1" || w.rollouts["shop-00000001-1.4"] == nil {
		t.Errorf("%s", w)
	}
}

// TestWhoJoinsAfterARolloutOfWhatWentThroughIsAbortedGetsThat: it ran again for one that came back, which keeps what it has until a person takes the
// abort back.
func TestWhoJoinsAfterARolloutOfWhatWentThroughIsAbortedGetsThat(t *testing.T) {
	w := sixClusters(t)
	w.silence("us2")
	w.later(10 * time.Second)
	w.apply("shop")
	w.settle()
	w.speak("us2")
	w.rest()
	w.orderTo("shop", abort)
	for _, joins := range []string{"eu3", "eu4"} {
		w.later(time.Second)
		w.join(joins)
		w.settle()
	}
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "eu3 shop 2", "eu4 shop 2", "us1 shop 2", "us2 shop 2 held")
	w.awaitsThat("us2", v1alpha1.ReasonHeld, "until a newer change, or hanse rollout resume shop-00000001-2.2")
	goOn(&w.rollouts["shop-00000001-2.2"].Spec.Orders)
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "eu3 shop 2", "eu4 shop 2", "us1 shop 2", "us2 shop 2")
}

// waitsForAWord is a change of shop, of this generation, that waits for a person before its first wave.
func waitsForAWord(t *testing.T, generation int64) *world {
	w := sixClusters(t)
	w.bundles["shop"].Generation = generation - 1
	w.applyStaged([]v1alpha1.RolloutStage{{Name: "all", Approval: v1alpha1.StageApprovalRequired}})
	w.later(time.Second)
	return w
}

func TestAnAbortIsWrittenBeforeWhatBeginsThen(t *testing.T) {
	t.Run("a newer change, whose name comes before", func(t *testing.T) {
		w := waitsForAWord(t, 9)
		abort(&w.newest("shop").Spec.Orders)
		w.apply("shop")
		w.rest()
		w.endedBut(t, "shop-00000001-9", "shop-00000001-10")
	})
	t.Run("a rollout for who has joined", func(t *testing.T) {
		w := waitsForAWord(t, 2)
		w.fleet.Freeze = &v1alpha1.Freeze{}
		w.join("eu3")
		abort(&w.newest("shop").Spec.Orders)
		w.rest()
		w.endedBut(t, "shop-00000001-2", "shop-00000001-1.2")
	})
}

// endedBut looks that a rollout of shop is aborted, and that one and no other runs.
func (w *world) endedBut(t *testing.T, aborted, runs string) {
	t.Helper()
	if phase := w.rollouts[aborted].Status.Phase; phase != v1alpha1.RolloutAborted {
		t.Errorf("%s is %s", aborted, phase)
	}
	for name, r := range w.rollouts {
		if r.Status.Phase.Ended() == (name == runs) {
			t.Errorf("%s is %s", name, r.Status.Phase)
		}
	}
	if w.rollouts[runs] == nil {
		t.Errorf("there is no %s: %s", runs, w)
	}
}

func TestOfTwoRolloutsThatHaveNotEndedTheLaterIsTheOne(t *testing.T) {
	w := waitsForAWord(t, 9)
	earlier := w.newest("shop").DeepCopy()
	w.apply("shop")
	w.rest()
	earlier.CreationTimestamp = w.newest("shop").CreationTimestamp
	w.rollouts[earlier.Name] = earlier // as a leader left it that began the later one in that second, and did not end it
	w.rest()
	if len(w.rollouts) != 3 || w.rollouts["shop-00000001-10"].Status.Phase.Ended() {
		t.Errorf("%d rollouts: %s", len(w.rollouts), w)
	}
}
