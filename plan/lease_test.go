package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

var someBundles = []string{"cart", "shop", "till"}

var someOrders = []string{"pause", "go on", "resume", "abort", "without", "approve", "despite", "despite gate", "all at once"}

// disturb does one thing to the world that may happen to a fleet.
func (w *world) disturb(t *rapid.T) {
	bundle := rapid.SampledFrom(someBundles).Draw(t, "bundle")
	some := func() string {
		if len(w.clusters) == 0 {
			return ""
		}
		return rapid.SampledFrom(slices.Sorted(maps.Keys(w.clusters))).Draw(t, "cluster")
	}
	w.brings[bundle] = rapid.SliceOfNDistinct(rapid.SampledFrom(someObjects), 0, 6, rapid.ID).Draw(t, "objects")
	switch rapid.SampledFrom([]string{"apply", "apply", "apply somewhere", "erase", "obey", "obey", "obey", "fail", "silence", "speak", "region", "remove", "join", "wait", "wait long", "order", "relabel", "relabel some", "label", "lead", "suspend", "suspend bundle"}).Draw(t, "what") {
	case "apply":
		w.apply(bundle)
	case "apply somewhere":
		w.apply(bundle, some())
	case "erase":
		if w.bundles[bundle] != nil {
			w.erase(bundle)
		}
	case "obey":
		if c := some(); c != "" {
			w.obey(c, bundle, v1alpha1.HealthReady) // whoever is cut off does what it was granted, too
		}
	case "fail":
		if c := some(); c != "" {
			w.obey(c, bundle, rapid.SampledFrom([]v1alpha1.Health{v1alpha1.HealthFailed, v1alpha1.HealthInProgress}).Draw(t, "health"))
		}
	case "silence":
		w.silence(some())
	case "speak":
		w.speak(some())
	case "region":
		w.silence(rapid.SampledFrom([]string{"ap", "eu", "us"}).Draw(t, "region"))
	case "remove":
		if len(w.clusters) > 2 {
			w.remove(some())
		}
	case "join":
		if len(w.clusters) < 9 {
			w.born++
			w.join(fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"ap", "eu", "us"}).Draw(t, "region"), 100+w.born))
		}
	case "relabel":
		if c := some(); c != "" {
			w.relabel(c, rapid.SampledFrom([]string{"ap", "eu", "us"}).Draw(t, "region"))
		}
	case "relabel some":
		names := slices.Sorted(maps.Keys(w.clusters))
		w.relabelAll(rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "clusters"), rapid.SampledFrom([]string{"ap", "eu", "us"}).Draw(t, "region"))
	case "label":
		w.fleet.Domain = rapid.SampledFrom([]string{v1alpha1.LabelRegion, v1alpha1.LabelZone}).Draw(t, "label")
	case "lead":
		w.began, w.logged = w.now, w.now.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds ago"))*time.Second)
	case "suspend": // or no more
		if c := w.clusters[some()]; c != nil {
			c.looking = !c.looking
		}
	case "suspend bundle":
		if b := w.bundles[bundle]; b != nil {
			b.Annotations = map[string]string{}
			if rapid.Bool().Draw(t, "suspended") {
				b.Annotations[v1alpha1.AnnotationSuspended] = "moving disks"
			}
		}
	case "wait":
		w.later(2 * time.Second)
	case "wait long":
		w.later(40 * time.Second)
	case "order":
		if r := w.newest(bundle); r != nil {
			w.order(t, r)
		}
	}
}

func (w *world) order(t *rapid.T, r *v1alpha1.Rollout) {
	o := &r.Spec.Orders
	switch rapid.SampledFrom(w.orders).Draw(t, "order") {
	case "pause":
		o.Paused = true
	case "go on":
		o.Paused = false
	case "resume":
		o.Resumed = r.Status.Stops
	case "abort":
		o.Aborted = true
	case "without":
		o.Without = r.Status.Lost
	case "approve":
		approve(r)
		letIn(r)
		letAllStages(r)
	case "despite":
		o.Resumed, o.Despite = r.Status.Stops, slices.Sorted(maps.Keys(w.clusters))[:1]
	case "despite gate":
		o.Resumed, o.DespiteGates = r.Status.Stops, []string{objectGate().Name}
	case "all at once":
		o.AllAtOnce = true
	}
}

// heal lets everybody be heard and act, and a person let everything go on.
func (w *world) heal() {
	w.speak("")
	for _, c := range w.clusters {
		c.looking = false
	}
	w.passes, w.unread = nil, ""
	w.bringWhatOthersNeed()
	for _, b := range w.bundles {
		b.Annotations = nil
	}
	for _, r := range w.rollouts {
		r.Spec.Orders.Paused, r.Spec.Orders.Resumed = false, r.Status.Stops
		approve(r)
		letIn(r)
		letAllStages(r)
	}
}

// live plays a life of a fleet. How is what else is drawn of it.
func live(t *rapid.T, decide func(plan.Situation) []plan.Step, how ...func(*rapid.T, *world)) *world {
	w := newWorld(t, "ap1", "ap2", "eu1", "eu2", "us1", "us2")
	w.decide = decide
	w.fleet.MaxDomains = int32(rapid.IntRange(1, 2).Draw(t, "most"))
	if rapid.IntRange(0, 9).Draw(t, "while lost") == 9 {
		w.fleet.WhileLost = v1alpha1.WhileLostFreeze
	}
	w.failures = int32(rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "failures"))
	w.fleet.ProgressDeadline = &metav1.Duration{Duration: time.Duration(rapid.SampledFrom([]int{10, 600}).Draw(t, "deadline")) * time.Second}
	w.guest = rapid.SampledFrom([]string{"", "ap1"}).Draw(t, "guest")
	for _, dress := range how {
		dress(t, w)
	}
	if rapid.Bool().Draw(t, "torn") {
		w.tear = func(parts int) int {
			return parts - max(0, rapid.IntRange(-3*parts, parts).Draw(t, "not written"))
		}
	}
	for range rapid.IntRange(1, 60).Draw(t, "things") {
		w.disturb(t)
		if w.keys != nil && rapid.Bool().Draw(t, "about keys") {
			w.keys(t)
		}
		if rapid.IntRange(0, 3).Draw(t, "before the leader decides") < 3 { // else more happens first
			w.pass()
		}
	}
	w.tear = nil
	return w
}

func TestNoMoreFaultDomainsAreInChangeThanMayBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := live(t, plan.Decide, inParts, leaning)
		for _, wrong := range w.wrong {
			t.Fatalf("%s\n%s", wrong, w)
		}
		if len(w.ungated)+len(w.again)+len(w.unsaid) > 0 {
			t.Fatalf("%s %s %s\n%s", w.ungated, w.again, w.unsaid, w)
		}
	})
}

func TestOnceAllIsWellEveryRolloutEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := live(t, plan.Decide, inParts, leaning)
		for range 60 { // each deletion may wait for a word of its own, and a window is closed for three of these ten minutes
			w.heal()
			for range 10 {
				for range 20 {
					if !w.pass() {
						break
					}
				}
				w.obeyAll()
				w.later(time.Second)
			}
			if w.allEnded() {
				break
			}
		}
		for _, wrong := range w.wrong {
			t.Fatalf("%s\n%s", wrong, w)
		}
		for _, r := range w.rollouts {
			if !r.Status.Phase.Ended() {
				t.Fatalf("%s has not ended\n%s", r.Name, w)
			}
		}
		w.everybodyHasIt(t)
	})
}

func (w *world) allEnded() bool {
	for _, r := range w.rollouts {
		if !r.Status.Phase.Ended() {
			return false
		}
	}
	return true
}

// everybodyHasIt says that each cluster runs what it should, where no person has ended a rollout.
func (w *world) everybodyHasIt(t *rapid.T) {
	for name, b := range w.bundles {
		last := w.newest(name)
		aborted := false
		for _, r := range w.rollouts {
			aborted = aborted || r.Spec.Bundle == name && r.Status.Phase == v1alpha1.RolloutAborted && r.Spec.Generation == b.Generation
		}
		if last == nil || aborted {
			continue
		}
		revision := v1alpha1.RevisionName(name, string(b.UID), b.Generation)
		for c := range w.clusters {
			g, has := w.grants[name][c]
			picked := len(b.Spec.Placement.Clusters) == 0 || slices.Contains(b.Spec.Placement.Clusters, c)
			if picked != has || has && g.Revision != revision {
				t.Fatalf("%s should have %s: %v, and has %+v\n%s", c, revision, picked, g, w)
			}
		}
	}
	for name, grants := range w.grants {
		last := w.newest(name)
		aborted := last != nil && last.Spec.Revision == "" && last.Status.Phase == v1alpha1.RolloutAborted
		if w.bundles[name] == nil && len(grants) > 0 && !aborted {
			t.Fatalf("%s is deleted, and there is %v\n%s", name, grants, w)
		}
	}
}

// The bugs that the lease is there for. Each is put in the place of Decide, and must be caught.
var leaseBugs = map[string]func(plan.Situation) []plan.Step{
	"a lease for each bundle": func(s plan.Situation) (steps []plan.Step) {
		all := s.Rollouts
		for _, name := range someBundles {
			s.Rollouts = slices.DeleteFunc(slices.Clone(all), func(r *v1alpha1.Rollout) bool { return r.Spec.Bundle != name })
			for _, step := range plan.Decide(s) {
				if step.Bundle == name {
					steps = append(steps, step)
				}
			}
		}
		return steps
	},
	"settled without health": func(s plan.Situation) []plan.Step {
		s.Sightings = maps.Clone(s.Sightings)
		for cluster, seen := range s.Sightings {
			seen.Works = map[string]v1alpha1.WorkStatus{}
			for bundle, grants := range s.Grants {
				seen.Works[bundle] = v1alpha1.WorkStatus{Grant: grants[cluster].At, Applied: grants[cluster].Revision, Health: v1alpha1.HealthReady}
			}
			s.Sightings[cluster] = seen
		}
		return plan.Decide(s)
	},
	"a newer change begins elsewhere": func(s plan.Situation) []plan.Step {
		newest := map[string]int64{}
		for _, b := range s.Bundles {
			newest[b.Name] = b.Generation
		}
		for _, r := range s.Rollouts {
			if r.Spec.Generation != newest[r.Spec.Bundle] {
				r.Status.InChange = nil
			}
		}
		return plan.Decide(s)
	},
	"what a lost fault domain was granted stays": func(s plan.Situation) []plan.Step {
		steps := plan.Decide(s)
		for _, step := range steps {
			maps.DeleteFunc(step.Grants, func(_ string, g v1alpha1.Grant) bool { return g.Held })
		}
		return steps
	},
}

// forAll lets an order of one rollout be for all of its bundle.
func forAll(copied func(from, to *v1alpha1.RolloutOrders)) func(plan.Situation) []plan.Step {
	return func(s plan.Situation) []plan.Step {
		said := map[string]v1alpha1.RolloutOrders{}
		for _, r := range s.Rollouts {
			said[r.Name] = r.Spec.Orders
		}
		for _, r := range s.Rollouts {
			for _, other := range s.Rollouts {
				if from := said[other.Name]; other.Spec.Bundle == r.Spec.Bundle {
					copied(&from, &r.Spec.Orders)
				}
			}
		}
		steps := plan.Decide(s)
		for _, step := range steps {
			for _, r := range step.Rollouts {
				r.Spec.Orders = said[r.Name]
			}
		}
		return steps
	}
}

// ordering lets people give no order but one, and often.
func ordering(order string) func(*rapid.T, *world) {
	return func(_ *rapid.T, w *world) { w.orders = []string{order} }
}

// The bugs that let an order do more than was said. In each life every bundle has been everywhere once, with the order, and changes now; where a
// gate is what was not to count, the change runs in the first clusters, and the gate does not pass.
func TestAnOrderThatIsForMoreThanItsRolloutIsCaught(t *testing.T) {
	for name, c := range map[string]struct {
		order  v1alpha1.RolloutOrders
		decide func(plan.Situation) []plan.Step
		found  func(*world) []string
	}{
		"all at once": {
			v1alpha1.RolloutOrders{AllAtOnce: true},
			forAll(func(from, to *v1alpha1.RolloutOrders) { to.AllAtOnce = to.AllAtOnce || from.AllAtOnce }),
			func(w *world) []string { return w.wrong },
		},
		"a gate that does not count": {
			v1alpha1.RolloutOrders{DespiteGates: []string{objectGate().Name}},
			forAll(func(from, to *v1alpha1.RolloutOrders) {
				to.DespiteGates = slices.Concat(to.DespiteGates, from.DespiteGates)
			}),
			func(w *world) []string { return w.ungated },
		},
		"an approval holds for ever": {
			v1alpha1.RolloutOrders{Deletions: map[string]int32{"ap1": 6, "ap2": 6, "eu1": 6, "eu2": 6, "us1": 6, "us2": 6}},
			forAll(func(from, to *v1alpha1.RolloutOrders) {
				if to.Deletions = maps.Clone(to.Deletions); to.Deletions == nil {
					to.Deletions = map[string]int32{}
				}
				maps.Copy(to.Deletions, from.Deletions)
			}),
			func(w *world) []string { return w.unasked },
		},
		"a cluster that does not count": {
			v1alpha1.RolloutOrders{Despite: []string{"ap1", "eu1"}},
			forAll(func(from, to *v1alpha1.RolloutOrders) { to.Despite = slices.Concat(to.Despite, from.Despite) }),
			func(w *world) []string { return w.wrong },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ordered := func(_ *rapid.T, w *world) {
				for _, bundle := range someBundles {
					if len(c.order.Deletions) > 0 {
						w.brings[bundle] = someObjects
					}
					w.apply(bundle)
				}
				w.settle()
				for _, r := range w.rollouts {
					r.Spec.Orders = c.order
				}
				w.rollout.Gates, w.passes = []v1alpha1.RolloutGate{objectGate()}, func(string) bool { return len(c.order.DespiteGates) == 0 }
				if len(c.order.DespiteGates) > 0 {
					w.apply(someBundles[0])
					w.rest()
					w.obeyAll()
				}
			}
			caught := 0
			for seed := range 100 {
				life := rapid.Custom(func(t *rapid.T) bool { return len(c.found(live(t, c.decide, ordered))) > 0 })
				if life.Example(seed) {
					caught++
				}
			}
			if t.Logf("caught in %d of 100 lives", caught); caught < 5 {
				t.Error("these lives are not aimed at it")
			}
		})
	}
}

func TestEachBugOfTheLeaseIsCaught(t *testing.T) {
	for name, decide := range leaseBugs {
		t.Run(name, func(t *testing.T) {
			caught := 0
			for seed := range 400 {
				rapidLife := rapid.Custom(func(t *rapid.T) bool { return len(live(t, decide).wrong) > 0 })
				if rapidLife.Example(seed) {
					caught++
				}
			}
			if t.Logf("caught in %d of 400 lives", caught); caught == 0 {
				t.Error("nothing caught it")
			}
		})
	}
}
