package plan_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// awaits is what a cluster of a world waits for, of the bundle shop.
func (w *world) awaits(cluster string, ready ...metav1.Condition) plan.Wait {
	w.t.Helper()
	var rollouts []*v1alpha1.Rollout
	for _, r := range w.rollouts {
		rollouts = append(rollouts, r)
	}
	uid, generation := w.uid("shop"), int64(0)
	if b := w.bundles["shop"]; b != nil {
		generation = b.Generation
	}
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: cluster}, Status: v1alpha1.ClusterStatus{Conditions: ready}}
	by := plan.ErrandsOf(rollouts).Of(uid, generation)
	return by.Awaits(c, w.grants["shop"][cluster].Held)
}

// uid is that of a bundle, be it deleted.
func (w *world) uid(bundle string) string {
	if b := w.bundles[bundle]; b != nil {
		return string(b.UID)
	}
	return w.newest(bundle).Spec.BundleUID
}

func (w *world) awaitsThat(cluster, reason string, words ...string) {
	w.t.Helper()
	got := w.awaits(cluster)
	if got.Reason != reason {
		w.t.Errorf("%s: %s (%s), want %s", cluster, got.Reason, got.Message, reason)
	}
	for _, word := range words {
		if !strings.Contains(got.Message, word) {
			w.t.Errorf("%s: %q does not say %q", cluster, got.Message, word)
		}
	}
}

func TestWhatAClusterWaitsFor(t *testing.T) {
	t.Run("its rollout", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.awaitsThat("us1", v1alpha1.ReasonWaiting, "its rollout has yet to begin")
	})
	t.Run("its wave", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		w.awaitsThat("us1", v1alpha1.ReasonWaiting, "its turn comes with wave 3 of 3, us; wave 1 of 3, ap: waits for ap1, ap2")
	})
	t.Run("a person who paused it", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Paused = true })
		w.awaitsThat("us1", v1alpha1.ReasonWaiting, "wave 3 of 3, us; the rollout is paused: a person paused it")
	})
	t.Run("the end of a freeze", func(t *testing.T) {
		w := sixClusters(t)
		w.fleet.Freeze = &v1alpha1.Freeze{Reason: "holidays"}
		w.apply("shop")
		w.rest()
		w.awaitsThat("us1", v1alpha1.ReasonWaiting, "the rollout is paused: the fleet is frozen: holidays")
	})
	t.Run("a person who looks at what failed", func(t *testing.T) {
		w := badChange(t)
		w.awaitsThat("us1", v1alpha1.ReasonWaiting, "wave 3 of 3, us; the rollout has stopped: it fails in ap2")
	})
	t.Run("a person who aborted it", func(t *testing.T) {
		w := badChange(t)
		w.orderTo("shop", abort)
		w.awaitsThat("us1", v1alpha1.ReasonWaiting, "a person aborted the rollout shop-00000001-2; to take that back: hanse rollout resume shop-00000001-2")
		w.awaitsThat("ap2", v1alpha1.ReasonHeld, "left as it is until a newer change, or hanse rollout resume shop-00000001-2")
		w.orderTo("shop", goOn)
		w.settle()
		if w.grants["shop"]["ap2"].Held {
			t.Error("resume does not do what it is said to")
		}
	})
	t.Run("a person who aborted its withdrawal", func(t *testing.T) {
		w := abortedDeletion(t)
		w.awaitsThat("ap1", v1alpha1.ReasonHeld, "left as it is until a newer change, or hanse rollout resume shop-00000001-withdrawal")
		w.awaitsThat("us1", v1alpha1.ReasonWaiting, "a person aborted the rollout")
	})
	t.Run("a person, after its fault domain was lost in change", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		w.silence("ap")
		w.later(time.Minute)
		w.rest()
		w.awaitsThat("ap1", v1alpha1.ReasonHeld, "hanse rollout resume shop")
		w.speak("ap")
		w.rest()
		w.awaitsThat("ap1", v1alpha1.ReasonHeld, "hanse rollout resume shop")
	})
	t.Run("its return", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		since := metav1.Unix(3600, 0)
		got := w.awaits("us1", metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Silent", LastTransitionTime: since})
		if want := (plan.Wait{Reason: v1alpha1.ReasonOwed, Message: "away since 1970-01-01 01:00:00Z: its turn is when it is back"}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestWhatWasAbortedIsTold(t *testing.T) {
	w := badChange(t)
	aborted := func() int {
		var bundles []*v1alpha1.Bundle
		for _, b := range w.bundles {
			bundles = append(bundles, b)
		}
		var rollouts []*v1alpha1.Rollout
		for _, r := range w.rollouts {
			rollouts = append(rollouts, r)
		}
		return len(plan.Aborted(bundles, rollouts))
	}
	if aborted() != 0 {
		t.Error("before it was")
	}
	w.orderTo("shop", abort)
	if aborted() != 1 {
		t.Error("once it was, it is not told")
	}
	w.apply("shop")
	w.rest()
	if aborted() != 0 {
		t.Error("it is told still, and the bundle says something newer")
	}
}

func TestARolloutRemembersWhereItIsAboutToGo(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	r := w.newest("shop")
	has := map[string]bool{}
	plan.ErrandsOf([]*v1alpha1.Rollout{r}).Of(r.Spec.BundleUID, 2).Remember(has)
	if len(has) != 6 {
		t.Errorf("%v", has)
	}
	w.settle()
	r, has = w.newest("shop"), map[string]bool{}
	plan.ErrandsOf([]*v1alpha1.Rollout{r}).Of(r.Spec.BundleUID, 2).Remember(has)
	plan.Errand{}.Remember(has)
	if len(has) != 0 {
		t.Errorf("of one that has ended, or of none: %v", has)
	}
}
