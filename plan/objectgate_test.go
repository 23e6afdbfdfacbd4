package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func objectGate() v1alpha1.RolloutGate {
	return v1alpha1.RolloutGate{
		Name: "migrated", Object: &v1alpha1.ObjectRef{APIVersion: "batch/v1", Kind: "Job", Namespace: "shop", Name: "migrate"},
		Condition: &v1alpha1.GateCondition{Type: "Complete"},
	}
}

// lookAtGate lets a cluster look at the object of the gate, if a wave has to pass it.
func (w *world) lookAtGate(name, bundle string) {
	c := w.clusters[name]
	for _, r := range w.rollouts {
		if r.Spec.Bundle != bundle || len(plan.ObjectGates(r, name)) == 0 {
			continue
		}
		said := v1alpha1.WorkGate{Name: "migrated", Passes: w.passes == nil || w.passes(name)}
		if !said.Passes {
			said.Message = "condition Complete is not there, must be True"
		}
		run := c.runs[bundle]
		run.Gates = []v1alpha1.WorkGate{said}
		c.runs[bundle] = run
	}
}

// judgeGates looks at the waves that a write settles: of no cluster of theirs that is healthy with the change, and that a person has not given
// up on, the gate may have been heard not to pass. Waves of clusters that join have the last good revision, and no gate.
func (w *world) judgeGates(r *v1alpha1.Rollout) {
	if len(r.Spec.Gates) == 0 || slices.Contains(r.Spec.Orders.DespiteGates, objectGate().Name) {
		return
	}
	for i, v := range r.Spec.Waves {
		if v.Revision != "" || !w.settles(r, i) {
			continue
		}
		for _, name := range v.Clusters {
			if w.clusters[name] == nil || !w.clusters[name].heard || slices.Contains(r.Spec.Orders.Despite, name) {
				continue
			}
			told, g := w.clusters[name].told[r.Spec.Bundle], w.grants[r.Spec.Bundle][name]
			if told.Grant != g.At || told.Health != v1alpha1.HealthReady {
				continue
			}
			if len(told.Gates) == 0 || !told.Gates[0].Passes {
				w.ungated = append(w.ungated, fmt.Sprintf("wave %d of %s settled, and %s says %+v", i+1, r.Name, name, told.Gates))
			}
		}
	}
}

// gatedByObject is a world of six clusters with a bundle that has been everywhere, and whose next change has to pass the gate.
func gatedByObject(t *testing.T, rollout v1alpha1.BundleRollout) *world {
	w := sixClusters(t)
	rollout.Gates = []v1alpha1.RolloutGate{objectGate()}
	w.apply("shop").Spec.Rollout = &rollout
	return w
}

// wait lets time pass, a second at a time, with all clusters well.
func (w *world) wait(d time.Duration) {
	for range int(d / time.Second) {
		w.rest()
		w.obeyAll()
		w.later(time.Second)
	}
	w.rest()
}

func TestAWaveSettlesWhileTheObjectsOfItsClustersHaveTheCondition(t *testing.T) {
	w := gatedByObject(t, v1alpha1.BundleRollout{Soak: &metav1.Duration{Duration: 10 * time.Second}})
	w.passes = func(cluster string) bool { return cluster != "ap2" }
	w.wait(40 * time.Second)
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running [ap]: wave 1 of 3, ap: gate migrated does not pass: ap2: job shop/migrate: condition Complete is not there, must be True")
	w.passes = nil
	w.wait(5 * time.Second)
	if s := w.newest("shop").Status.Waves[0]; s.Healthy == nil || s.Settled != nil {
		t.Fatalf("%s", w)
	}
	w.passes = func(string) bool { return false } // it falls while it soaks, for a moment
	w.wait(2 * time.Second)
	w.passes = nil
	w.wait(8 * time.Second)
	if s := w.newest("shop").Status.Waves[0]; s.Healthy == nil || s.Settled != nil {
		t.Fatalf("it does not soak from the start: %+v", s)
	}
	w.wait(time.Minute)
	r := w.newest("shop")
	if r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong)+len(w.ungated) > 0 {
		t.Fatalf("%s\n%v", w, w.ungated)
	}
	if g := r.Status.Gates[0]; !g.Passes || g.Message != "job shop/migrate has condition Complete True in 2 clusters" {
		t.Errorf("%+v", g)
	}
}

func TestAnObjectThatDoesNotGetThereInTimeStopsTheRollout(t *testing.T) {
	for name, c := range map[string]struct {
		deaf bool
		why  string
	}{
		"it says no":        {false, "wave 1, ap, after 1m0s: gate migrated does not pass: ap1: job shop/migrate: condition Complete is not there, must be True"},
		"nobody has looked": {true, "wave 1, ap, after 1m0s: gate migrated does not pass: ap1: job shop/migrate: nobody has looked at it yet"},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatedByObject(t, v1alpha1.BundleRollout{ProgressDeadline: &metav1.Duration{Duration: time.Minute}})
			w.passes = func(string) bool { return false }
			decide := w.decide
			w.decide = func(s plan.Situation) []plan.Step {
				for _, seen := range s.Sightings {
					for bundle, work := range seen.Works {
						if c.deaf {
							work.Gates = nil
							seen.Works[bundle] = work
						}
					}
				}
				return decide(s)
			}
			w.wait(70 * time.Second)
			r := w.newest("shop")
			if r.Status.Phase != v1alpha1.RolloutFailed || r.Status.Stopped != c.why || r.Status.Stops != 1 {
				t.Fatalf("%s %q", w, r.Status.Stopped)
			}
			r.Spec.Orders.Resumed, r.Spec.Orders.Despite = 1, []string{"ap1", "ap2"}
			w.wait(20 * time.Second)
			if r := w.newest("shop"); r.Status.Waves[0].Settled == nil || r.Status.Waves[1].Settled != nil || len(w.ungated) > 0 {
				t.Errorf("a person went on despite two, and it did not wait for the others: %s\n%v", w, w.ungated)
			}
		})
	}
}

func TestWhoJoinsWithTheLastGoodRevisionHasNoGateByAnObject(t *testing.T) {
	w := gatedByObject(t, v1alpha1.BundleRollout{Soak: &metav1.Duration{Duration: 10 * time.Second}})
	w.passes = func(cluster string) bool { return cluster != "ap3" }
	w.wait(2 * time.Second)
	w.join("ap3")
	if diff := cmp.Diff([]v1alpha1.RolloutGate{objectGate()}, plan.ObjectGates(w.newest("shop"), "ap1")); diff != "" {
		t.Error(diff)
	}
	if got := plan.ObjectGates(w.newest("shop"), "eu1"); len(got) != 0 {
		t.Errorf("whose turn has not come looks at %+v", got)
	}
	before := false
	for range 120 {
		w.wait(time.Second)
		if strings.HasSuffix(w.grants["shop"]["ap3"].Revision, "-1") {
			before = true
			if got := plan.ObjectGates(w.newest("shop"), "ap3"); len(got) != 0 {
				t.Fatalf("with the last good revision it has to pass %+v", got)
			}
		}
	}
	w.is("ap1 shop 2", "ap2 shop 2", "ap3 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2",
		"shop-00000001-2 Running [ap]: wave 5 of 5, ap: gate migrated does not pass: ap3: job shop/migrate: condition Complete is not there, must be True")
	if w.passes = nil; !before {
		t.Error("it never had the last good revision")
	}
	w.wait(20 * time.Second)
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(plan.ObjectGates(r, "ap3")) != 0 {
		t.Errorf("%s", w)
	}
}

func TestAnotherLeaderGoesByTheSameGates(t *testing.T) {
	w := gatedByObject(t, v1alpha1.BundleRollout{Soak: &metav1.Duration{Duration: 20 * time.Second}})
	w.passes = func(string) bool { return false }
	w.wait(10 * time.Second)
	w.began, w.logged = w.now, w.now
	for name := range w.clusters {
		w.clusters[name].told = nil // it has heard nothing yet
	}
	w.passes = nil
	w.wait(10 * time.Second)
	if s := w.newest("shop").Status.Waves[0]; s.Healthy == nil || s.Settled != nil {
		t.Errorf("%s", w)
	}
	w.wait(2 * time.Minute)
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong)+len(w.ungated) > 0 {
		t.Errorf("%s\n%v", w, w.ungated)
	}
}
