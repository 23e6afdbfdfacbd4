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
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

var someObjects = []string{"ConfigMap/a", "ConfigMap/b", "ConfigMap/c", "ConfigMap/d", "ConfigMap/e", "ConfigMap/f", "Service/a", "Namespace/a"}

// objects are those of a revision.
func (w *world) objects(revision string) map[string]bool {
	all := map[string]bool{}
	for _, o := range w.contents[revision].Objects {
		all[o.Kind+"/"+o.Name] = true
	}
	return all
}

// take lets a cluster have the objects of a revision; what it had of others goes once it is healthy.
func (c *cluster) take(bundle string, objects map[string]bool, healthy bool) {
	had := c.has[bundle]
	if c.has[bundle] = objects; !healthy {
		maps.Copy(objects, had)
		return
	}
	c.doomed[bundle] = nil
}

// judgeDeletions holds a grant that is about to be written to what a person was asked. It knows what the clusters have, and of
// rollouts what people said.
func (w *world) judgeDeletions(bundle, name string, g v1alpha1.Grant) {
	c, before := w.clusters[name], w.grants[bundle][name]
	if g.Held || c == nil {
		return
	}
	stays := w.objects(g.Revision)
	goes := maps.Clone(c.has[bundle])
	maps.DeleteFunc(goes, func(o string, _ bool) bool { return stays[o] || c.doomed[bundle][o] })
	if !g.Withdraw && g.BundleUID != before.BundleUID {
		c.has[bundle] = nil // another bundle takes over
		return
	}
	if !w.small(len(goes), len(c.has[bundle]), goes) && !w.movedFrom(bundle, name, g, goes) && !w.said(g, bundle, name, len(goes)) {
		w.unasked = append(w.unasked, fmt.Sprintf("%s was to delete %v of %s, and nobody was asked", name, slices.Sorted(maps.Keys(goes)), bundle))
	}
	if c.doomed[bundle] == nil {
		c.doomed[bundle] = map[string]bool{}
	}
	maps.Copy(c.doomed[bundle], goes)
	maps.DeleteFunc(c.doomed[bundle], func(o string, _ bool) bool { return stays[o] })
}

func (w *world) small(n, of int, goes map[string]bool) bool {
	return !takesOthers(goes) && n*100 <= v1alpha1.DefaultClusterDeletionPercent*of
}

func takesOthers(goes map[string]bool) bool {
	for o := range goes {
		if strings.HasPrefix(o, "Namespace/") {
			return true
		}
	}
	return false
}

// movedFrom says that a bundle is taken from a cluster because others have it, as that was gone for too long.
func (w *world) movedFrom(bundle, cluster string, g v1alpha1.Grant, goes map[string]bool) bool {
	_, gone := w.clusters[cluster].gone[bundle]
	return g.Withdraw && gone && !takesOthers(goes)
}

// said says that a person let the rollout of a grant delete so much.
func (w *world) said(g v1alpha1.Grant, bundle, cluster string, n int) bool {
	for _, r := range w.rollouts {
		of := r.Spec.Bundle == bundle && !r.Status.Phase.Ended() || r.Spec.BundleUID == g.BundleUID && w.bundles[bundle] == nil
		if most, said := r.Spec.Orders.Deletions[cluster]; of && said && int(most) >= n {
			return true
		}
	}
	return false
}

// approve lets a rollout delete what it says it would.
func approve(r *v1alpha1.Rollout) {
	if r.Status.Deletions == nil {
		return
	}
	orders := maps.Clone(r.Spec.Orders.Deletions)
	if orders == nil {
		orders = map[string]int32{}
	}
	for _, c := range r.Status.Deletions.Clusters {
		orders[c.Name] = c.Objects
	}
	r.Spec.Orders.Deletions = orders
}

func TestNothingIsDeletedBeyondTheCapUnasked(t *testing.T) {
	for name, how := range map[string]func(*rapid.T, *world){
		"in any life": func(*rapid.T, *world) {}, "where a cluster is drained": draining,
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := live(t, plan.Decide, how)
				for _, wrong := range append(w.unasked, w.wrong...) {
					t.Fatalf("%s\n%s", wrong, w)
				}
			})
		})
	}
}

func TestADeletionThatNobodyIsAskedAboutIsCaught(t *testing.T) {
	for name, decide := range map[string]func(plan.Situation) []plan.Step{
		"no guard": func(s plan.Situation) []plan.Step {
			s.Contents = nil
			return plan.Decide(s)
		},
		"a drain needs no word": func(s plan.Situation) []plan.Step {
			contents := s.Contents
			s.Contents = func(revision string) (plan.Content, bool) {
				content, there := contents(revision)
				content.Objects = slices.DeleteFunc(slices.Clone(content.Objects), func(o v1alpha1.ObjectRef) bool { return o.Kind == "Namespace" })
				return content, there
			}
			return plan.Decide(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			caught := 0
			for seed := range 100 {
				life := rapid.Custom(func(t *rapid.T) bool {
					return len(live(t, decide, draining, ordering("approve")).unasked) > 0
				})
				if life.Example(seed) {
					caught++
				}
			}
			if t.Logf("caught in %d of 100 lives", caught); caught < 10 {
				t.Error("these lives are not aimed at it")
			}
		})
	}
}

// fortyClusters are in four regions and have a bundle of five objects, for their label.
func fortyClusters(t *testing.T) *world {
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("%s%d", []string{"ap", "eu", "sa", "us"}[i%4], 10+i))
	}
	w := newWorld(t, names...)
	w.brings["shop"] = someObjects[:5]
	w.apply("shop", names...)
	w.settle()
	return w
}

func (w *world) has(bundle string) (n int) {
	for _, c := range w.clusters {
		n += len(c.has[bundle])
	}
	return n
}

func TestAMistakeThatTakesABundleAwayWaitsForAPerson(t *testing.T) {
	w := fortyClusters(t)
	if w.apply("shop", "eu11"); w.has("shop") != 200 {
		t.Fatalf("the clusters have %d objects", w.has("shop"))
	}
	w.settle()
	if w.has("shop") != 200 {
		t.Errorf("the clusters have %d of 200 objects", w.has("shop"))
	}
	r := w.newest("shop")
	d := r.Status.Deletions
	if d == nil || d.Objects != 195 || len(d.Clusters) != 39 || len(d.First) != 5 {
		t.Fatalf("it tells %+v", d)
	}
	want := "nothing is granted: it would delete 195 of 195 objects in ap10, ap14, ap18 and 36 more (configmap a, configmap b, configmap c, …), " +
		"and 5 of 5 objects go in ap10, more than 20%; to let it: hanse rollout approve " + r.Name + " --deletions"
	if diff := cmp.Diff(want, r.Status.Message); diff != "" || r.Status.Phase != v1alpha1.RolloutPaused {
		t.Error(r.Status.Phase, diff)
	}
	t.Run("what is put right goes on", func(t *testing.T) {
		w := fortyClusters(t)
		names := w.bundles["shop"].Spec.Placement.Clusters
		w.apply("shop", "eu11")
		w.settle()
		w.apply("shop", names...)
		w.settle()
		if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || w.has("shop") != 200 {
			t.Errorf("%s\n%d objects", w, w.has("shop"))
		}
	})
	t.Run("a person lets it, and no more than was shown", func(t *testing.T) {
		approve(w.rollouts[r.Name])
		w.rollouts[r.Name].Spec.Orders.Deletions["us13"] = 4
		w.settle()
		if d := w.newest("shop").Status.Deletions; w.has("shop") != 200 || d == nil || len(d.Clusters) != 1 || d.Clusters[0].Name != "us13" {
			t.Fatalf("%d objects, %+v", w.has("shop"), d)
		}
		approve(w.rollouts[r.Name])
		w.settle()
		if r := w.newest("shop"); w.has("shop") != 5 || r.Status.Phase != v1alpha1.RolloutComplete {
			t.Errorf("%d objects\n%s", w.has("shop"), w)
		}
	})
}

func TestAWrongLabelDeletesNothing(t *testing.T) {
	w := fortyClusters(t)
	for _, c := range w.clusters {
		c.labels["tier"] = "prod"
	}
	w.apply("shop").Spec.Placement = v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}}
	w.settle()
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) { // as slowly as people do it
		delete(w.clusters[name].labels, "tier")
		w.later(time.Second)
		w.rest()
		w.obeyAll()
	}
	w.settle()
	if d := w.newest("shop").Status.Deletions; w.has("shop") != 200 || d == nil || d.Objects != 200 || len(d.Clusters) != 40 {
		t.Fatalf("%d objects, and it tells %+v", w.has("shop"), d)
	}
	for _, c := range w.clusters {
		c.labels["tier"] = "prod"
	}
	w.settle()
	if r := w.newest("shop"); w.has("shop") != 200 || !r.Status.Phase.Ended() {
		t.Errorf("the labels are back: %d objects\n%s", w.has("shop"), w)
	}
}

func TestHowMuchMayGoUnasked(t *testing.T) {
	ten := []string{"ConfigMap/0", "ConfigMap/1", "ConfigMap/2", "ConfigMap/3", "ConfigMap/4", "ConfigMap/5", "ConfigMap/6", "ConfigMap/7", "ConfigMap/8", "ConfigMap/9"}
	bound := func(objects, percent int32) *v1alpha1.DeletionBound {
		return &v1alpha1.DeletionBound{Objects: &objects, Percent: &percent}
	}
	for _, test := range []struct {
		name          string
		before, after []string
		to            []string
		fleet, bundle *v1alpha1.DeletionCap
		drained       string
		erase         bool
		reason        string // "" goes through
	}{
		{name: "nothing", before: ten, after: ten},
		{name: "a fifth", before: ten, after: ten[:8]},
		{name: "more than a fifth", before: ten, after: ten[:7], reason: "3 of 10 objects go in ap1, more than 20%"},
		{name: "more than a fifth, where the fleet lets it", before: ten, after: ten[:7], fleet: &v1alpha1.DeletionCap{PerCluster: bound(9, 40)}},
		{name: "so many", before: ten, after: ten[:8], fleet: &v1alpha1.DeletionCap{PerCluster: bound(1, 40)}, reason: "2 objects go in ap1, more than 1"},
		{name: "a bundle may say less", before: ten, after: ten[:8], bundle: &v1alpha1.DeletionCap{PerCluster: bound(99, 10)}, reason: "2 of 10 objects go in ap1, more than 10%"},
		{name: "a bundle may not say more", before: ten, after: ten[:7], bundle: &v1alpha1.DeletionCap{PerCluster: bound(99, 90)}, reason: "3 of 10 objects go in ap1, more than 20%"},
		{name: "a namespace", before: append([]string{"Namespace/shop"}, ten...), after: ten, reason: "namespace shop goes in ap1, and what is in it"},
		{name: "a claim, whatever the fleet lets", before: append([]string{"PersistentVolumeClaim/db"}, ten...), after: ten, fleet: &v1alpha1.DeletionCap{PerCluster: bound(99, 100)},
			reason: "persistentvolumeclaim db goes in ap1, and what is in it"},
		{name: "more than the fleet lets in all", before: ten, after: ten[:9], fleet: &v1alpha1.DeletionCap{Fleet: bound(3, 100)}, reason: "4 objects go in the fleet, more than 3"},
		{name: "a cluster loses the bundle", before: ten, after: ten, to: []string{"ap1", "eu1", "eu2"}, reason: "10 of 10 objects go in us1, more than 20%"},
		{name: "a cluster that is drained does", before: ten, after: ten, drained: "us1"},
		{name: "a namespace in a cluster that is drained", before: append([]string{"Namespace/shop"}, ten...), after: append([]string{"Namespace/shop"}, ten...), drained: "us1",
			reason: "namespace shop goes in us1, and what is in it"},
		{name: "a region that is drained asks for the fleet", before: ten, after: ten, drained: "eu1", fleet: &v1alpha1.DeletionCap{Fleet: bound(1000, 20)},
			reason: "10 of 40 objects go in the fleet, more than 20%"},
		{name: "the bundle is deleted", before: ten, erase: true, reason: "10 of 10 objects go in ap1, more than 20%"},
		{name: "a bundle of nothing is deleted", erase: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, "ap1", "eu1", "eu2", "us1")
			w.fleet.Deletions = test.fleet
			w.brings["shop"] = test.before
			w.apply("shop")
			w.settle()
			w.drained = test.drained
			switch w.brings["shop"] = test.after; {
			case test.erase:
				w.erase("shop")
			case test.drained == "":
				w.apply("shop", test.to...).Spec.Rollout = &v1alpha1.BundleRollout{Deletions: test.bundle}
			}
			w.settle()
			r := w.newest("shop")
			if d := r.Status.Deletions; (d == nil) != (test.reason == "") || d != nil && d.Reason != test.reason {
				t.Fatalf("%+v\n%s", d, w)
			}
			if r.Status.Phase.Ended() != (test.reason == "") {
				t.Errorf("%s", w)
			}
		})
	}
}

// Whoever a bundle comes to gets it before a person lets its Namespace go where it was; a mistake in its placement takes nothing anywhere.
func TestWhatMovesFromADrainedClusterComesToOthersBeforeAPersonIsAsked(t *testing.T) {
	settled := func(t *testing.T) *world {
		w := newWorld(t, "ap1", "eu1", "us1")
		w.brings["shop"] = []string{"Namespace/shop", "ConfigMap/a"}
		w.place = func(_ string, b *v1alpha1.Bundle) { picks(b, 2) }
		w.apply("shop")
		w.settle()
		w.is("ap1 shop 1", "eu1 shop 1")
		return w
	}
	t.Run("drained", func(t *testing.T) {
		w := settled(t)
		w.drained = "ap1"
		w.rest()
		w.is("ap1 shop 1", "eu1 shop 1", "us1 shop 1", "shop-00000001-1.2 Running [us]: wave 2 of 2, us: waits for us1")
		if d := w.newest("shop").Status.Deletions; d == nil || d.Reason != "namespace shop goes in ap1, and what is in it" {
			t.Fatalf("%+v", d)
		}
		w.settle()
		w.is("ap1 shop 1", "eu1 shop 1", "us1 shop 1", "shop-00000001-1.2 Paused []: ap1 keeps it: it would delete 2 of 2 objects in ap1 (namespace shop, configmap a), "+
			"and namespace shop goes in ap1, and what is in it; to let it: hanse rollout approve shop-00000001-1.2 --deletions")
		if why := w.newest("shop").Status.Reason; why != v1alpha1.RolloutWaitsForDeletions {
			t.Error(why)
		}
		t.Run("meanwhile others go on", func(t *testing.T) {
			w.apply("till")
			w.settle()
			if r := w.newest("till"); r.Status.Phase != v1alpha1.RolloutComplete {
				t.Errorf("%s", w)
			}
			w.erase("till")
			w.settle()
		})
		approve(w.newest("shop"))
		w.settle()
		w.is("eu1 shop 1", "us1 shop 1")
	})
	t.Run("drained no more", func(t *testing.T) {
		w := settled(t)
		w.drained = "ap1"
		w.settle()
		w.drained = ""
		w.settle()
		if n := len(w.grants["shop"]); n < 2 || w.has("shop") < 4 || w.grants["shop"]["ap1"].Withdraw {
			t.Errorf("%s", w)
		}
	})
	t.Run("a mistake", func(t *testing.T) {
		w := settled(t)
		w.apply("shop", "eu1", "us1").Spec.Placement.NumberOfClusters = nil
		w.settle()
		w.is("ap1 shop 1", "eu1 shop 1", "shop-00000001-2 Paused []: nothing is granted: it would delete 2 of 2 objects in ap1 (namespace shop, configmap a), "+
			"and namespace shop goes in ap1, and what is in it; to let it: hanse rollout approve shop-00000001-2 --deletions")
	})
}

// draining lets a life begin with bundles in two clusters each, one of which an admin wants empty.
func draining(t *rapid.T, w *world) {
	w.place = func(_ string, b *v1alpha1.Bundle) { picks(b, 2) }
	for _, bundle := range someBundles {
		w.brings[bundle] = someObjects
		w.apply(bundle)
	}
	w.settle()
	w.drained = rapid.SampledFrom([]string{"ap1", "ap2", "eu1"}).Draw(t, "drained")
}

// A restored log knows nothing of the change that a cluster made last, nor that the next one may come to have its name.
func TestWhatALostChangeBroughtGoesOnlyByAPersonsWord(t *testing.T) {
	for name, lost := range map[string]func(*v1alpha1.WorkStatus){
		"a revision that the log has not": func(s *v1alpha1.WorkStatus) { s.Applied = "shop-00000001-7" },
		"one of the name of the next": func(s *v1alpha1.WorkStatus) {
			s.Applied = "shop-00000001-2"
			plan.SetReady(&s.Conditions, metav1.ConditionUnknown, v1alpha1.ReasonOldGrant, "", 0, time.Unix(0, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ap1", "eu1")
			w.brings["shop"] = someObjects
			w.apply("shop")
			w.settle()
			work := w.clusters["eu1"].runs["shop"]
			lost(&work)
			w.clusters["eu1"].runs["shop"] = work
			w.apply("shop")
			w.rest()
			if d := w.newest("shop").Status.Deletions; d == nil || d.Reason != "it is not known what goes in eu1" {
				t.Fatalf("%+v\n%s", d, w)
			}
			approve(w.newest("shop"))
			w.settle()
			w.is("ap1 shop 2", "eu1 shop 2")
		})
	}
}

func TestWhoIsAwayWhenADeletionIsApprovedIsNotAskedAboutAgain(t *testing.T) {
	w := newWorld(t, "ap1", "eu1")
	w.brings["shop"] = someObjects
	w.apply("shop")
	w.settle()
	w.silence("eu1")
	w.later(10e9)
	w.erase("shop")
	w.rest()
	approve(w.newest("shop"))
	w.settle()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || w.has("shop") != len(someObjects) {
		t.Fatalf("%d objects\n%s", w.has("shop"), w)
	}
	w.speak("eu1")
	w.settle()
	if w.has("shop") != 0 || len(w.tombs) != 0 {
		t.Errorf("%d objects\n%s", w.has("shop"), w)
	}
}

func TestWhatIsPrunedAgainIsOfAllThatIsThere(t *testing.T) {
	for left, reason := range map[int]string{9: "", 7: "3 of 10 objects go in ap1, more than 20%"} {
		w := newWorld(t, "ap1", "eu1", "us1")
		w.brings["shop"] = strings.Fields("ConfigMap/0 ConfigMap/1 ConfigMap/2 ConfigMap/3 ConfigMap/4 ConfigMap/5 ConfigMap/6 ConfigMap/7 ConfigMap/8 ConfigMap/9")
		b := w.apply("shop")
		revision := v1alpha1.RevisionName("shop", string(b.UID), b.Generation)
		content := w.contents[revision]
		content.Deletion = v1alpha1.DeletionOrphan
		w.contents[revision] = content
		w.settle()
		w.brings["shop"] = w.brings["shop"][:left]
		w.apply("shop")
		w.settle()
		if d := w.newest("shop").Status.Deletions; (d == nil) != (reason == "") || d != nil && d.Reason != reason {
			t.Errorf("with %d left: %+v\n%s", left, d, w)
		}
	}
}

func TestAWordForADeletedBundleIsNoneForTheNextOfItsName(t *testing.T) {
	w := newWorld(t, "ap1")
	w.brings["till"] = []string{"ConfigMap/a", "Namespace/a"}
	w.apply("till")
	w.settle()
	w.erase("till")
	w.rest()
	approve(w.newest("till"))
	w.apply("till") // before it has begun
	w.settle()
	w.erase("till")
	w.rest()
	if r := w.newest("till"); r.Status.Deletions == nil || w.grants["till"]["ap1"].Withdraw {
		t.Errorf("%s", w)
	}
}
