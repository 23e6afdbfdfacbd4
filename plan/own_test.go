package plan_test

import (
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestABundleOfOneClusterThatIsNotTrustedHoldsNobodyUp(t *testing.T) {
	// begun is till on its way to ap1 alone, and cart, which is for all, behind it.
	begun := func(t *testing.T, guest string) *world {
		w := newWorld(t, "ap1", "eu1")
		w.guest = guest
		w.apply("till", "ap1")
		w.rest()
		w.later(time.Second)
		w.apply("cart", "eu1")
		w.rest()
		w.is("ap1 till 1", "cart-00000002-1 Pending []: eu waits for its turn behind till", "till-00000001-1 Running [ap]: wave 1 of 1, ap: waits for ap1")
		return w
	}
	fail := func(w *world) {
		w.obey("ap1", "till", v1alpha1.HealthFailed)
		w.rest()
		w.later(6 * time.Second)
		w.rest()
	}
	t.Run("it fails", func(t *testing.T) {
		w := begun(t, "ap1")
		fail(w)
		w.is("eu1 cart 1", "ap1 till 1 held", "cart-00000002-1 Running [eu]: wave 1 of 1, eu: waits for eu1", "till-00000001-1 Failed []: it fails in ap1: its objects are not healthy")
		t.Run("and goes on when a person says so, and its turn comes", func(t *testing.T) {
			w.orderTo("till", func(o *v1alpha1.RolloutOrders) { o.Resumed = 1 })
			w.rest()
			w.is("eu1 cart 1", "ap1 till 1 held", "cart-00000002-1 Running [eu]: wave 1 of 1, eu: waits for eu1", "till-00000001-1 Running []: ap waits for its turn behind cart")
			w.settle()
			w.is("eu1 cart 1", "ap1 till 1")
		})
	})
	t.Run("it does not get rid of one", func(t *testing.T) {
		w := newWorld(t, "ap1", "eu1")
		w.guest = "ap1"
		w.apply("till", "ap1")
		w.settle()
		w.erase("till")
		w.rest()
		w.late()
		if r := w.newest("till"); r.Status.Stops != 1 || len(r.Status.InChange) > 0 || !w.grants["till"]["ap1"].Held {
			t.Errorf("%s", w)
		}
	})
	t.Run("a newer one would delete much, and waits for a word", func(t *testing.T) {
		w := newWorld(t, "ap1", "eu1")
		w.guest = "ap1"
		w.brings["till"] = []string{"ConfigMap/a", "ConfigMap/b"}
		w.apply("till", "ap1")
		w.settle()
		w.apply("till", "ap1")
		w.rest()
		w.brings["till"] = []string{"ConfigMap/a"}
		w.apply("till", "ap1")
		w.rest()
		w.apply("cart", "eu1")
		w.rest()
		if r := w.newest("till"); r.Status.Deletions == nil || len(r.Status.InChange) > 0 || len(w.grants["cart"]) == 0 {
			t.Errorf("%s", w)
		}
	})
	t.Run("one that is trusted keeps its fault domain", func(t *testing.T) {
		w := begun(t, "")
		fail(w)
		if r := w.newest("till"); r.Status.Stops != 1 || len(r.Status.InChange) != 1 || len(w.grants["cart"]) > 0 {
			t.Errorf("%s", w)
		}
	})
}
