package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestAClusterIsRelabelledInMidRollout(t *testing.T) {
	t.Run("one that is in change stays in its fault domain until it is settled", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		w.relabel("ap1", "eu")
		w.apply("shop")
		w.rest()
		if r := w.newest("shop"); r.Spec.Generation != 3 || !cmp.Equal(r.Status.InChange, []string{"ap"}) || !cmp.Equal(r.Spec.Waves[0].Clusters, []string{"ap1", "ap2"}) {
			t.Errorf("%s\n%+v", w, r.Spec.Waves)
		}
	})
	t.Run("one whose turn has not come goes where it is", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		w.relabel("eu1", "us")
		w.obeyAll()
		w.rest()
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 2", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [eu]: wave 2 of 4, eu: waits for eu2")
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	})
	t.Run("one that fails after it was settled is where it is by now, for the judge too", func(t *testing.T) {
		w := sixClusters(t)
		w.obey("ap1", "shop", v1alpha1.HealthFailed)
		w.rest()
		w.relabel("ap1", "eu")
		w.apply("shop")
		w.rest()
		w.obey("ap2", "shop", v1alpha1.HealthReady)
		w.rest()
		for _, wrong := range w.wrong {
			t.Error(wrong)
		}
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [eu]: wave 2 of 3, eu: waits for ap1, eu1, eu2")
	})
	t.Run("one that its wave was settled without is where it is by now, for the judge too", func(t *testing.T) {
		w := newWorld(t, "ap1", "ap2", "eu1", "eu2")
		w.failures = 1
		w.apply("shop")
		w.rest()
		w.obey("ap2", "shop", v1alpha1.HealthReady)
		w.obey("ap1", "shop", v1alpha1.HealthFailed)
		w.rest()
		w.later(6 * time.Second)
		w.rest()
		w.obey("eu1", "shop", v1alpha1.HealthReady)
		w.obey("eu2", "shop", v1alpha1.HealthReady)
		w.rest()
		w.relabel("ap1", "eu")
		w.apply("shop")
		w.rest()
		w.obey("ap2", "shop", v1alpha1.HealthReady)
		w.rest()
		for _, wrong := range w.wrong {
			t.Error(wrong)
		}
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "shop-00000001-2 Running [eu]: wave 2 of 2, eu: waits for ap1, eu1, eu2")
	})
	t.Run("a fault domain is lost when those are that were in it", func(t *testing.T) {
		w := sixClusters(t)
		w.apply("shop")
		w.rest()
		w.relabel("ap1", "eu")
		w.silence("ap2")
		w.settle()
		if g := w.grants["shop"]["ap1"]; g.Held {
			t.Errorf("it is held, and was heard all the time\n%s", w)
		}
	})
}

func TestTheFleetsFaultDomainsChangeInMidRollout(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.fleet.Domain = v1alpha1.LabelZone
	w.apply("cart")
	w.rest()
	if len(w.grants["cart"]) > 0 {
		t.Errorf("a zone is let in beside a region\n%s", w)
	}
	w.obeyAll()
	w.rest()
	if r := w.newest("shop"); len(r.Status.InChange) > 1 || r.Spec.Domain != v1alpha1.LabelZone {
		t.Errorf("once ap is settled, it goes on by zones: %v of %s", r.Status.InChange, r.Spec.Domain)
	}
	w.settle()
	for _, wrong := range w.wrong {
		t.Error(wrong)
	}
	for _, r := range w.rollouts {
		if !r.Status.Phase.Ended() {
			t.Errorf("%s has not ended\n%s", r.Name, w)
		}
	}
}

func TestWhoTakesAllAtOnceLetsNobodyInBesideAnotherLabel(t *testing.T) {
	w := sixClusters(t)
	w.fleet.MaxDomains = 20
	w.apply("shop")
	w.rest()
	w.fleet.Domain = v1alpha1.LabelZone
	w.apply("cart")
	w.rest()
	w.orderTo("cart", func(o *v1alpha1.RolloutOrders) { o.AllAtOnce = true })
	w.rest()
	w.apply("till")
	w.rest()
	if len(w.grants["cart"]) != 6 || len(w.grants["till"]) > 0 {
		t.Errorf("cart is to be everywhere, and till to wait for shop, which goes by regions: %s", w)
	}
	w.settle()
	if len(w.grants["till"]) != 6 {
		t.Errorf("%s", w)
	}
}

func TestWhatIsLostIsOfTheLabelThatARolloutGoesBy(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string // is lost before the rollout begins, and after
		without, lost []string
	}{
		"a region, before it began":    {before: "us", without: []string{"us-a", "us-b"}},
		"a region, since it began":     {after: "us", lost: []string{"us-a", "us-b"}},
		"a zone, before it began":      {before: "us1", lost: []string{"us-b"}}, // it did not ask for zones then
		"a region, and another's zone": {before: "us", after: "eu1", without: []string{"us-a", "us-b"}, lost: []string{"eu-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			lose := func(beginning string) {
				if beginning != "" {
					w.silence(beginning)
					w.later(31 * time.Second)
				}
			}
			lose(c.before)
			w.apply("shop")
			w.rest()
			lose(c.after)
			w.obeyAll() // ap
			w.fleet.Domain = v1alpha1.LabelZone
			w.rest()
			if r := w.newest("shop"); r.Spec.Domain != v1alpha1.LabelZone || !cmp.Equal(r.Spec.Without, c.without) || !cmp.Equal(r.Status.Lost, c.lost) {
				t.Errorf("by %s, without %v, waits for %v: %s", r.Spec.Domain, r.Spec.Without, r.Status.Lost, w)
			}
		})
	}
}
