package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// picks lets a bundle be in so many clusters.
func picks(b *v1alpha1.Bundle, n int32) *v1alpha1.Bundle {
	b.Spec.Placement.NumberOfClusters = &n
	return b
}

// tolerates lets a bundle tolerate unreachable clusters for so long; a negative time is ever.
func tolerates(b *v1alpha1.Bundle, seconds int64) *v1alpha1.Bundle {
	t := v1alpha1.Toleration{Key: v1alpha1.TaintUnreachable, Operator: v1alpha1.TolerationExists, Effect: v1alpha1.TaintNoExecute}
	if seconds > 0 {
		t.TolerationSeconds = &seconds
	}
	b.Spec.Placement.Tolerations = []v1alpha1.Toleration{t}
	return b
}

// divides lets a bundle divide a number by weight.
func (w *world) divides(name string, whole int32) *v1alpha1.Bundle {
	w.wholes[name] = []int32{whole}
	b := w.apply(name)
	b.Spec.Division = []v1alpha1.Division{{Target: v1alpha1.Target{Kind: "Deployment", Name: "web"}, By: v1alpha1.DivideByWeight}}
	return b
}

// lives lets the world go on for a while, looked at each second.
func (w *world) lives(d time.Duration) {
	w.t.Helper()
	for range d / time.Second {
		w.rest()
		w.obeyAll()
		w.later(time.Second)
	}
	w.rest()
}

// strides lets the world go on for a while, looked at now and then.
func (w *world) strides(n int, each time.Duration) {
	w.t.Helper()
	for range n {
		w.later(each)
		w.rest()
		w.obeyAll()
	}
	w.rest()
}

// parts are what each cluster has of the first division of a bundle.
func (w *world) parts(bundle string) map[string]int32 {
	parts := map[string]int32{}
	for cluster, g := range w.grants[bundle] {
		if g.Frozen != nil && !g.Withdraw {
			parts[cluster] = g.Frozen.Divided[0]
		}
	}
	return parts
}

func (w *world) fine() {
	w.t.Helper()
	for _, wrong := range append(w.wrong, w.hasty...) {
		w.t.Error(wrong)
	}
}

func TestWhatWasPickedMovesOnceItIsTooLong(t *testing.T) {
	w := newWorld(t, "ap1", "ap2", "eu1", "eu2", "us1", "us2")
	picks(w.apply("shop"), 2)
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1")
	w.silence("ap1")
	w.lives(5*time.Minute + 25*time.Second)
	w.is("ap1 shop 1", "ap2 shop 1")
	w.lives(time.Minute)
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1")
	t.Run("who is back gives it up, and gets nothing new for a while", func(t *testing.T) {
		w.speak("ap1")
		w.lives(time.Minute)
		w.is("ap2 shop 1", "eu1 shop 1")
		w.silence("eu1")
		w.lives(3 * time.Minute)
		w.is("ap2 shop 1", "eu1 shop 1")
		w.speak("eu1")
		w.lives(3 * time.Minute)
		if u := w.clusters["ap1"].unreachable; u != nil {
			t.Errorf("the hold-down is over: %+v", u)
		}
		w.is("ap2 shop 1", "eu1 shop 1")
	})
	w.fine()
}

func TestWhatMovesAwayFromTheDeadWaitsForNobodyAndNoWindow(t *testing.T) {
	for name, policy := range map[string]v1alpha1.BundleRollout{
		"approval":           {Approval: v1alpha1.ApprovalDomain},
		"window":             {Windows: []v1alpha1.RolloutWindow{{Start: "02:00", End: "03:00"}}},
		"a stage's approval": {Stages: []v1alpha1.RolloutStage{{Name: "ap", Domains: []string{"ap"}}, {Name: "rest", Approval: v1alpha1.StageApprovalRequired}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ap1", "eu1", "us1")
			picks(w.apply("shop"), 1)
			w.settle()
			w.is("ap1 shop 1")
			w.bundles["shop"].Spec.Rollout = &policy // it asks from here on
			w.silence("ap1")
			w.lives(7 * time.Minute)
			w.is("ap1 shop 1", "eu1 shop 1")
			w.fine()
		})
	}
}

// Whoever is owed a change waits for its window and is asked about what goes, whatever moves away from clusters that are gone.
func TestOnlyWhatMovesAsksNobody(t *testing.T) {
	begin := func(t *testing.T, place func(w *world)) *world {
		w := newWorld(t, "ap1", "ap2", "eu1", "eu2", "us1", "us2")
		w.now = instant(t, "2026-07-06T02:00:00Z")
		w.rollout.Windows = []v1alpha1.RolloutWindow{{Start: "02:00", End: "03:00"}}
		w.brings["shop"] = []string{"ConfigMap/a", "ConfigMap/b", "ConfigMap/c"}
		place(w)
		w.settle()
		w.brings["shop"] = w.brings["shop"][:1]
		return w
	}
	change := func(w *world) {
		w.apply("shop")
		w.rest()
		approve(w.newest("shop"))
		w.settle()
	}
	for name, place := range map[string]func(w *world){
		"another bundle": func(w *world) {
			w.apply("shop")
			picks(w.apply("cart", "us2"), 1).Spec.Placement.ClusterSelector = &metav1.LabelSelector{}
		},
		"pods of its own": func(w *world) {
			w.place = func(_ string, b *v1alpha1.Bundle) {
				b.Spec.Division = []v1alpha1.Division{{Target: v1alpha1.Target{Kind: "Deployment", Name: "web"}, By: v1alpha1.DivideByWeight}}
			}
			w.wholes["shop"] = []int32{12}
			w.apply("shop")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, place)
			w.silence("us2")
			w.later(10 * time.Second)
			change(w)
			w.strides(62, time.Minute)
			if !w.clusters["us2"].evicted[string(w.bundles["shop"].UID)] && w.bundles["cart"] == nil || w.grants["cart"]["us2"].Held {
				t.Fatalf("nothing moved: %s", w)
			}
			w.speak("us2")
			w.settle()
			if r := w.newest("shop"); w.grants["shop"]["us2"].Revision == w.grants["shop"]["us1"].Revision || r.Spec.Moves || r.Status.Deletions == nil {
				t.Errorf("it was given outside of the window: %+v\n%s", r.Status.Deletions, w)
			}
			for _, wrong := range w.unasked {
				t.Error(wrong)
			}
			w.fine()
		})
	}
	t.Run("who comes back while it moves", func(t *testing.T) {
		w := begin(t, func(w *world) {
			w.place = func(_ string, b *v1alpha1.Bundle) { picks(b, 3) }
			w.apply("shop")
		})
		w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1")
		w.now = instant(t, "2026-07-06T02:57:30Z")
		w.silence("ap1")
		w.lives(40 * time.Second)
		w.silence("eu1")
		w.later(10 * time.Second)
		change(w)
		for range 5 * 60 {
			w.later(time.Second)
			if w.rest(); w.running("shop") != nil {
				break
			}
		}
		w.is("ap1 shop 1", "ap2 shop 2", "eu1 shop 1", "eu2 shop 2", "shop-00000001-2.2 Running [eu]: wave 1 of 1, eu: waits for eu2")
		w.speak("eu1")
		w.rest()
		w.is("ap1 shop 1", "ap2 shop 2", "eu1 shop 1", "eu2 shop 2", "shop-00000001-2.2 Running [eu]: wave 1 of 1, eu: waits for eu2")
		w.settle()
		if d := w.newest("shop").Status.Deletions; d == nil || w.newest("shop").Spec.Moves {
			t.Fatalf("nobody is asked about eu1: %s", w)
		}
		approve(w.newest("shop"))
		w.settle()
		w.is("ap1 shop 1", "ap2 shop 2", "eu1 shop 1", "eu2 shop 2", "shop-00000001-2.3 Pending []: it waits for its window, which opens 2026-07-07 02:00Z")
		w.fine()
	})
}

func TestWhatIsDeletedAfterAMoveWaitsAsTheBundleSaid(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "us1")
	w.place = func(_ string, b *v1alpha1.Bundle) {
		picks(b, 1).Spec.Rollout = &v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain}
	}
	w.apply("shop")
	w.rest()
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Approved = []string{"ap"} })
	w.settle()
	w.silence("ap1")
	w.lives(7 * time.Minute)
	w.is("ap1 shop 1", "eu1 shop 1")
	w.erase("shop")
	w.settle()
	w.is("ap1 shop 1", "eu1 shop 1", "shop-00000001-withdrawal Paused []: a person must let it into eu: hanse rollout approve shop-00000001-withdrawal eu")
}

// TestWhatADeadClusterMayStillDoIsHeldWhenOthersAreToHaveIt: it was granted a change, died, and the change after that waits for a person, so it was given
// nothing newer.
func TestWhatADeadClusterMayStillDoIsHeldWhenOthersAreToHaveIt(t *testing.T) {
	w := newWorld(t, "ap1", "ap2", "eu1", "us1")
	w.place = func(_ string, b *v1alpha1.Bundle) { picks(b, 1) }
	w.brings["shop"] = []string{"Namespace/old", "ConfigMap/a"}
	w.apply("shop")
	w.settle()
	w.apply("shop")
	w.rest()
	w.brings["shop"] = []string{"ConfigMap/a"}
	w.apply("shop")
	w.rest()
	if r := w.newest("shop"); r.Status.Deletions == nil || grantText(w.grants["shop"]["ap1"]) != "2" {
		t.Fatalf("nothing waits: %s", w)
	}
	w.silence("ap1")
	w.lives(7 * time.Minute)
	if g := w.grants["shop"]["ap1"]; !g.Held {
		t.Errorf("ap1 may do that when it is back, whatever else is in change: %s", w)
	}
	w.fine()
}

func TestWhoIsBackBeforeAnybodyElseHasItKeepsIt(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "us1")
	picks(w.apply("shop"), 1)
	w.settle()
	w.silence("ap1")
	w.lives(5*time.Minute + 25*time.Second)
	w.newest("shop") // complete
	w.decide = func(plan.Situation) []plan.Step { return nil }
	w.lives(time.Minute)
	if u := w.clusters["ap1"].unreachable; u == nil || u.Evicted.Duration == 0 {
		t.Fatalf("it is not evicted: %+v", u)
	}
	w.speak("ap1")
	w.rest()
	w.decide = plan.Decide
	w.lives(10 * time.Minute)
	w.is("ap1 shop 1")
	w.fine()
}

func TestWhatMovedIsDeletedUnaskedUnlessItTakesOthersWithIt(t *testing.T) {
	for _, brings := range [][]string{{"ConfigMap/a", "Service/a"}, {"ConfigMap/a", "Namespace/a"}} {
		t.Run(brings[1], func(t *testing.T) {
			w := newWorld(t, "ap1", "eu1", "us1")
			w.brings["shop"] = brings
			tolerates(picks(w.apply("shop"), 1), 60)
			w.settle()
			w.silence("ap1")
			w.lives(3 * time.Minute)
			w.speak("ap1")
			w.lives(time.Minute)
			if brings[1] == "Service/a" {
				w.is("eu1 shop 1")
				return
			}
			r := w.newest("shop")
			if r.Status.Deletions == nil || w.grants["shop"]["ap1"].Withdraw {
				t.Errorf("a namespace goes, and nobody is asked: %s", w)
			}
			approve(r)
			w.lives(time.Minute)
			w.is("eu1 shop 1")
		})
	}
}

func TestWhoToleratesItStays(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "us1")
	tolerates(picks(w.apply("ever"), 1), -1)
	tolerates(picks(w.apply("soon"), 1), 60)
	w.apply("all")
	w.settle()
	w.silence("ap1")
	w.lives(2 * time.Minute)
	w.is("ap1 all 1", "eu1 all 1", "us1 all 1", "ap1 ever 1", "ap1 soon 1", "eu1 soon 1")
	w.fine()
}

func TestWhatIsDividedMovesToTheSurvivorsAndBack(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "us1")
	tolerates(w.divides("shop", 9), 60)
	w.settle()
	w.settle()
	has := func(want map[string]int32) {
		t.Helper()
		if diff := cmp.Diff(want, w.parts("shop")); diff != "" {
			t.Errorf("%s\n%s", diff, w)
		}
	}
	has(map[string]int32{"ap1": 3, "eu1": 3, "us1": 3})
	w.silence("eu1")
	w.lives(80 * time.Second)
	has(map[string]int32{"ap1": 3, "eu1": 3, "us1": 3})
	w.lives(time.Minute)
	has(map[string]int32{"ap1": 5, "eu1": 3, "us1": 4})
	w.speak("eu1")
	w.lives(time.Minute)
	has(map[string]int32{"ap1": 5, "eu1": 0, "us1": 4})
	w.lives(5 * time.Minute)
	has(map[string]int32{"ap1": 3, "eu1": 3, "us1": 3})
	if u := w.clusters["eu1"].unreachable; u != nil {
		t.Errorf("it is as before, and the log says %+v", u)
	}
	t.Run("what a drained cluster had, too", func(t *testing.T) {
		w.drained = "us1"
		w.lives(time.Minute)
		has(map[string]int32{"ap1": 5, "eu1": 4})
	})
	w.fine()
}

func TestAJobsPartStaysWhateverBecomesOfTheOthers(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "us1")
	tolerates(w.divides("shop", 9), 60).Spec.Division[0].Target.Kind = "Job"
	w.settle()
	w.settle()
	w.silence("eu1")
	w.lives(3 * time.Minute)
	w.speak("eu1")
	w.lives(6 * time.Minute)
	if diff := cmp.Diff(map[string]int32{"ap1": 3, "eu1": 3, "us1": 3}, w.parts("shop")); diff != "" || len(w.evictions) > 0 {
		t.Errorf("%v\n%s\n%s", w.evictions, diff, w)
	}
	w.fine()
}

func TestARegionThatDiesMovesAtTheRate(t *testing.T) {
	w := newWorld(t, "ap1", "ap2", "ap3", "eu1", "eu2", "eu3", "us1", "us2", "us3")
	w.fleet.Eviction = &v1alpha1.Eviction{PerMinute: 2}
	tolerates(picks(w.apply("shop"), 3), 60)
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "ap3 shop 1")
	w.silence("ap")
	w.lives(4 * time.Minute)
	w.is("ap1 shop 1", "ap2 shop 1", "ap3 shop 1", "eu1 shop 1", "eu2 shop 1", "eu3 shop 1")
	if n := len(w.evictions); n != 3 || w.evictions[2].Sub(w.evictions[0]) < time.Minute {
		t.Errorf("evicted at %v", w.evictions)
	}
	w.speak("ap")
	w.lives(time.Minute)
	w.is("eu1 shop 1", "eu2 shop 1", "eu3 shop 1")
	w.fine()
}

func TestAnEvictionThatTheLogRefusesHoldsNoOtherUp(t *testing.T) {
	w := newWorld(t, "ap1", "ap2", "eu1", "eu2", "us1", "us2")
	tolerates(picks(w.apply("shop"), 2), 60)
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1")
	w.silence("ap")
	w.lives(45 * time.Second)
	w.refused = "ap1"
	w.lives(4 * time.Minute)
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1")
	w.refused = ""
	w.lives(time.Minute)
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1")
	w.fine()
}

func TestNothingMovesWhileTooManyAreGone(t *testing.T) {
	for name, loss := range map[string]func(w *world){
		"more than a third":              func(w *world) { w.silence("ap"); w.silence("us1") },
		"as no majority is heard":        func(w *world) { w.silence("ap"); w.deaf = true },
		"as the fleet is frozen":         func(w *world) { w.silence("ap"); w.fleet.Freeze = &v1alpha1.Freeze{} },
		"of what the fleet puts up with": func(w *world) { w.silence("ap1"); w.fleet.Eviction = &v1alpha1.Eviction{MaxPercent: 10} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ap1", "ap2", "eu1", "eu2", "us1", "us2")
			tolerates(picks(w.apply("shop"), 2), 60)
			w.settle()
			loss(w)
			w.lives(10 * time.Minute)
			w.is("ap1 shop 1", "ap2 shop 1")
			w.fine()
		})
	}
}

func TestAnotherLeaderAndAnotherClockNeitherSkipNorForget(t *testing.T) {
	w := newWorld(t, "ap1", "eu1", "us1")
	picks(w.apply("shop"), 1)
	w.settle()
	w.silence("ap1")
	w.lives(4 * time.Minute)
	for _, hours := range []time.Duration{5, -7, 0} { // each leader's clock shows another time than that of the one before
		jump := hours * time.Hour
		w.now, w.clusters["ap1"].silence = w.now.Add(jump), w.clusters["ap1"].silence.Add(jump)
		w.began, w.logged = w.now, w.now
		w.rest()
		w.is("ap1 shop 1")
		w.later(time.Second)
	}
	w.lives(time.Minute)
	w.is("ap1 shop 1")
	w.lives(2 * time.Minute) // 30 s at most are counted again for each leader
	w.is("ap1 shop 1", "eu1 shop 1")
}

// movable are bundles in some of the clusters, and divided ones.
func movable(_ *rapid.T, w *world) {
	w.fleet.Eviction = &v1alpha1.Eviction{PerMinute: 1, HoldDown: &metav1.Duration{Duration: 90 * time.Second}}
	w.place = func(name string, b *v1alpha1.Bundle) {
		switch name {
		case "cart":
			tolerates(picks(b, 2), 30)
		case "shop":
			tolerates(picks(b, 1), 60)
		case "till":
			b.Spec.Division = []v1alpha1.Division{
				{Target: v1alpha1.Target{Kind: "Deployment", Name: "web"}, By: v1alpha1.DivideByWeight},
				{Target: v1alpha1.Target{Kind: "Job", Name: "count"}, By: v1alpha1.DivideByWeight},
			}
			tolerates(b, 30)
		}
	}
	w.wholes["till"] = []int32{10, 10}
	for _, name := range someBundles {
		w.apply(name)
	}
}

// unsteady is a life in which clusters come and go.
func unsteady(t *rapid.T, watch func(plan.Situation, plan.Quorum) (map[string]*v1alpha1.Unreachable, string), decide func(plan.Situation) []plan.Step) *world {
	w := newWorld(t, "ap1", "ap2", "eu1", "eu2", "us1", "us2")
	w.watch, w.decide = watch, decide
	movable(t, w)
	w.strides(8, time.Second)
	for range rapid.IntRange(1, 40).Draw(t, "things") {
		cluster := rapid.SampledFrom(slices.Sorted(maps.Keys(w.clusters))).Draw(t, "cluster")
		bundle := rapid.SampledFrom(someBundles).Draw(t, "bundle")
		switch rapid.SampledFrom([]string{"silence", "silence", "region", "speak", "all speak", "wait", "wait long", "wait longer", "wait longer", "wait longer", "lead", "apply", "erase", "fail", "join", "remove", "deaf", "freeze", "order"}).Draw(t, "what") {
		case "silence":
			w.silence(cluster)
		case "region":
			w.silence(cluster[:2])
		case "speak":
			w.speak(cluster)
		case "all speak":
			w.speak("")
		case "wait":
			w.strides(1, 7*time.Second)
		case "wait long":
			w.strides(4, 10*time.Second)
		case "wait longer":
			w.strides(8, 15*time.Second)
		case "lead":
			w.began, w.logged = w.now, w.now.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds ago"))*time.Second)
		case "apply":
			w.brings[bundle] = rapid.SliceOfNDistinct(rapid.SampledFrom(someObjects), 0, 6, rapid.ID).Draw(t, "objects")
			w.apply(bundle)
		case "erase":
			if w.bundles[bundle] != nil {
				w.erase(bundle)
			}
		case "fail":
			w.obey(cluster, bundle, v1alpha1.HealthFailed)
		case "join":
			if len(w.clusters) < 9 {
				w.born++
				w.join(fmt.Sprintf("%s%d", cluster[:2], 100+w.born))
			}
		case "remove":
			if len(w.clusters) > 3 {
				w.remove(cluster)
			}
		case "deaf":
			w.deaf = !w.deaf
		case "freeze":
			w.fleet.Freeze = map[bool]*v1alpha1.Freeze{true: {}}[w.fleet.Freeze == nil]
		case "order":
			if r := w.newest(bundle); r != nil {
				w.order(t, r)
			}
		}
		w.pass()
	}
	return w
}

func TestNothingMovesTooEarlyOrTooFast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := unsteady(t, plan.Unreachables, plan.Decide)
		for _, wrong := range slices.Concat(w.wrong, w.hasty, w.unasked) {
			t.Fatalf("%s\n%s", wrong, w)
		}
	})
}

func TestOnceAllAreBackEverythingIsWhereItShouldBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := unsteady(t, plan.Unreachables, plan.Decide)
		w.deaf, w.fleet.Freeze = false, nil
		for range 30 {
			w.heal()
			w.strides(1, 10*time.Second)
		}
		for _, wrong := range append(w.wrong, w.hasty...) {
			t.Fatalf("%s\n%s", wrong, w)
		}
		for name, c := range w.clusters {
			if c.unreachable != nil {
				t.Fatalf("%s is back, and the log says %+v\n%s", name, c.unreachable, w)
			}
		}
		for name, b := range w.bundles {
			w.isWhole(t, name, b)
		}
	})
}

// isWhole says that a bundle is in as many clusters as it should be, and its parts add up, where no person has ended a rollout.
func (w *world) isWhole(t *rapid.T, name string, b *v1alpha1.Bundle) {
	for _, r := range w.rollouts {
		if r.Spec.BundleUID == string(b.UID) && r.Status.Phase == v1alpha1.RolloutAborted {
			return
		}
	}
	sum := int32(0)
	for _, part := range w.parts(name) {
		sum += part
	}
	if whole := w.wholes[name]; whole != nil && sum != whole[0] {
		t.Fatalf("the parts of %s are %v, and are to be %d\n%s", name, w.parts(name), whole[0], w)
	}
	if n := b.Spec.Placement.NumberOfClusters; n != nil && len(w.grants[name]) != int(*n) {
		t.Fatalf("%s is in %d clusters, and should be in %d\n%s", name, len(w.grants[name]), *n, w)
	}
}

// The bugs that moves are judged for. Each is put in the place of what finds out who is unreachable, and must be caught.
func TestAMoveBeforeItsTimeIsCaught(t *testing.T) {
	type watching = func(plan.Situation, plan.Quorum) (map[string]*v1alpha1.Unreachable, string)
	eviction := func(change func(*v1alpha1.Eviction)) watching {
		return func(s plan.Situation, q plan.Quorum) (map[string]*v1alpha1.Unreachable, string) {
			e := *s.Fleet.Eviction
			change(&e)
			s.Fleet.Eviction = &e
			return plan.Unreachables(s, q)
		}
	}
	for name, watch := range map[string]watching{
		"a new leader counts from the beginning of time": func(s plan.Situation, q plan.Quorum) (map[string]*v1alpha1.Unreachable, string) {
			s.Began = time.Time{}
			for i := range s.Clusters {
				if u := s.Clusters[i].Status.Unreachable; u != nil {
					u.Counted = metav1.Time{}
				}
			}
			return plan.Unreachables(s, q)
		},
		"all at once": func(s plan.Situation, q plan.Quorum) (map[string]*v1alpha1.Unreachable, string) {
			q.Evicted = time.Time{}
			return plan.Unreachables(s, q)
		},
		"however many are gone": eviction(func(e *v1alpha1.Eviction) { e.MaxPercent = 100 }),
		"back is back":          eviction(func(e *v1alpha1.Eviction) { e.HoldDown = &metav1.Duration{} }),
		"one is enough to say so": func(s plan.Situation, q plan.Quorum) (map[string]*v1alpha1.Unreachable, string) {
			q.Voters = 1
			return plan.Unreachables(s, q)
		},
	} {
		t.Run(name, func(t *testing.T) {
			caught := 0
			for seed := range 40 {
				life := rapid.Custom(func(t *rapid.T) bool { return len(unsteady(t, watch, plan.Decide).hasty) > 0 })
				if life.Example(seed) {
					caught++
				}
			}
			if t.Logf("caught in %d of 40 lives", caught); caught == 0 {
				t.Error("nothing caught it")
			}
		})
	}
}
