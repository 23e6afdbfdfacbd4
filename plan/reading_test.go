package plan_test

import (
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

func gate(name string) v1alpha1.RolloutGate {
	return v1alpha1.RolloutGate{Name: name, Metric: &v1alpha1.MetricGate{URL: "http://prometheus:9090", Query: "errors", Must: "< 1"}}
}

// prometheus answers the gates of a world: passes says what. It is asked as the leader's agent asks it.
type prometheus struct {
	*world
	passes   map[string]bool
	readings map[string]map[string]plan.Reading
	asked    []time.Time
}

func (w *world) gated(passes map[string]bool) *prometheus {
	p := &prometheus{world: w, passes: passes, readings: map[string]map[string]plan.Reading{}}
	decide := w.decide
	w.decide = func(s plan.Situation) []plan.Step {
		s.Readings = p.readings
		return decide(s)
	}
	return p
}

// ask lets the gates be asked that are to be, and what they say be decided on.
func (p *prometheus) ask() {
	var rollouts []*v1alpha1.Rollout
	for _, r := range p.rollouts {
		rollouts = append(rollouts, r)
	}
	for _, ask := range plan.Asks(rollouts, p.readings, p.now) {
		p.asked = append(p.asked, p.now)
		if p.readings[ask.Rollout] == nil {
			p.readings[ask.Rollout] = map[string]plan.Reading{}
		}
		p.readings[ask.Rollout][ask.Gate.Name] = plan.Reading{At: p.now, Passes: p.passes[ask.Gate.Name], Message: "0.5, must be < 1"}
	}
	p.rest()
}

// wait lets time pass, a second at a time, with all clusters well.
func (p *prometheus) wait(d time.Duration) {
	for range int(d / time.Second) {
		p.obeyAll()
		p.rest()
		p.later(time.Second)
		p.ask()
	}
}

func TestAWaveSettlesWhenItsGatesPass(t *testing.T) {
	w := sixClusters(t)
	p := w.gated(map[string]bool{"errors": false})
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("errors")}, Soak: &metav1.Duration{Duration: 10 * time.Second}}
	w.rest()
	p.ask()
	if len(p.asked) != 0 {
		t.Error("it was asked before the clusters run the change")
	}
	p.wait(40 * time.Second)
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running [ap]: wave 1 of 3, ap: gate errors does not pass: 0.5, must be < 1")
	p.passes["errors"] = true
	p.wait(35 * time.Second)
	if r := w.newest("shop"); r.Status.Waves[0].Healthy == nil && r.Status.Waves[0].Settled == nil {
		t.Errorf("%s", w)
	}
	p.wait(3 * time.Minute)
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong) > 0 {
		t.Errorf("%s\n%v", w, w.wrong)
	}
	for i := 1; i < len(p.asked); i++ {
		if d := p.asked[i].Sub(p.asked[i-1]); d < v1alpha1.DefaultGateEvery {
			t.Errorf("it was asked again after %s", d)
		}
	}
}

func TestAGateThatDoesNotPassInTimeStopsTheRollout(t *testing.T) {
	for name, c := range map[string]struct {
		answers bool
		why     string
	}{
		"it says no":      {true, "wave 1, ap, after 1m0s: gate errors does not pass: 0.5, must be < 1"},
		"nobody is asked": {false, "wave 1, ap, after 1m0s: gate errors has said nothing yet"},
	} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			p := w.gated(map[string]bool{})
			w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("errors")}, ProgressDeadline: &metav1.Duration{Duration: time.Minute}}
			if !c.answers {
				w.rest()
				w.obeyAll()
				w.rest()
				w.later(2 * time.Minute)
				w.rest()
			}
			p.wait(70 * time.Second)
			r := w.newest("shop")
			if r.Status.Phase != v1alpha1.RolloutFailed || r.Status.Stopped != c.why || r.Status.Stops != 1 {
				t.Fatalf("%s %q", w, r.Status.Stopped)
			}
			r.Spec.Orders.Resumed, p.passes["errors"] = 1, true
			p.wait(3 * time.Minute)
			if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong) > 0 {
				t.Errorf("%s\n%v", w, w.wrong)
			}
		})
	}
}

func TestAPersonGoesOnDespiteAGate(t *testing.T) {
	w := sixClusters(t)
	p := w.gated(map[string]bool{"wrong": false, "errors": false})
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("errors"), gate("wrong")}, ProgressDeadline: &metav1.Duration{Duration: time.Minute}}
	p.wait(70 * time.Second)
	r := w.newest("shop")
	if r.Status.Phase != v1alpha1.RolloutFailed {
		t.Fatalf("%s", w)
	}
	r.Spec.Orders.Resumed, r.Spec.Orders.DespiteGates = 1, []string{"wrong"}
	p.wait(40 * time.Second)
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running [ap]: wave 1 of 3, ap: gate errors does not pass: 0.5, must be < 1")
	p.passes["errors"] = true
	p.wait(3 * time.Minute)
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong) > 0 {
		t.Errorf("%s\n%v", w, w.wrong)
	}
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("wrong")}}
	p.wait(time.Minute)
	if r := w.newest("shop"); !strings.HasSuffix(r.Status.Message, "gate wrong does not pass: 0.5, must be < 1") {
		t.Errorf("the order was for one change, and the next goes by it: %s", w)
	}
}

func TestWhatAGateSaidOfAnotherWaveIsNotOfThisOne(t *testing.T) {
	w := sixClusters(t)
	p := w.gated(map[string]bool{"errors": true})
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("errors")}}
	p.wait(5 * time.Second)
	r := w.newest("shop")
	if r.Status.Waves[0].Settled == nil || r.Status.Waves[1].Settled != nil {
		t.Fatalf("%s", w)
	}
	p.passes["errors"] = false
	p.wait(time.Minute)
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running [eu]: wave 2 of 3, eu: gate errors does not pass: 0.5, must be < 1")
}

func TestWhatAGateSaidAtATimeThatIsYetToComeDoesNotCount(t *testing.T) {
	w := sixClusters(t)
	p := w.gated(map[string]bool{"errors": true})
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("errors")}}
	w.rest()
	// The leader before asked in its last wave, and its clock was set back under it.
	w.newest("shop").Status.Gates = []v1alpha1.GateStatus{{Name: "errors", Passes: true, Asked: metav1.Time{Time: w.now.Add(30 * time.Minute)}}}
	w.began, w.logged = w.now, w.now
	for range 10 {
		w.later(time.Second)
		w.obeyAll()
		w.rest()
	}
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running [ap]: wave 1 of 3, ap: gate errors has said nothing yet")
	p.ask()
	if s := w.newest("shop").Status.Gates[0]; s.Asked.After(w.now) || w.newest("shop").Status.Waves[0].Settled == nil {
		t.Errorf("it was asked now: %+v\n%s", s, w)
	}
}

func TestAGateFallsWhileItSoaks(t *testing.T) {
	w := sixClusters(t)
	p := w.gated(map[string]bool{"errors": true})
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("errors")}, Soak: &metav1.Duration{Duration: time.Minute}}
	p.wait(20 * time.Second)
	if w.newest("shop").Status.Waves[0].Healthy == nil {
		t.Fatalf("%s", w)
	}
	p.passes["errors"] = false
	p.wait(20 * time.Second)
	p.passes["errors"] = true
	p.wait(40 * time.Second)
	if s := w.newest("shop").Status.Waves[0]; s.Healthy == nil || s.Settled != nil {
		t.Errorf("it soaks from the start: %+v", s)
	}
	p.wait(time.Minute)
	if s := w.newest("shop").Status.Waves[0]; s.Settled == nil {
		t.Errorf("%s", w)
	}
}

func TestAStageHasGatesOfItsOwn(t *testing.T) {
	w := stagedWorld(t)
	p := w.gated(map[string]bool{"slow": true})
	stages := canaryFirst()
	stages[0].Gates, stages[1].Approval = []v1alpha1.RolloutGate{gate("slow")}, ""
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Stages: stages, Gates: []v1alpha1.RolloutGate{gate("errors")}}
	p.wait(3 * time.Minute)
	r := w.newest("shop")
	if want := "wave 4 of 6, ap: gate errors does not pass"; !strings.HasPrefix(r.Status.Message, want) {
		t.Errorf("%s", w)
	}
	var said []string
	for _, g := range r.Status.Gates {
		said = append(said, g.Name)
	}
	if diff := cmp.Diff([]string{"errors", "slow"}, said); diff != "" {
		t.Error(diff)
	}
}

func TestADeletionHasNoGates(t *testing.T) {
	w := sixClusters(t)
	p := w.gated(map[string]bool{})
	w.apply("shop", "ap1").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("errors")}}
	p.passes["errors"] = true
	p.wait(3 * time.Minute)
	w.erase("shop")
	p.passes["errors"] = false
	p.wait(time.Minute)
	if len(w.grants["shop"]) > 0 {
		t.Errorf("%s", w)
	}
}

func TestNoWaveSettlesThatNoGateLetPass(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"ap1", "ap2", "eu1", "us1"}
		w := newWorld(rt, names...)
		p := w.gated(map[string]bool{})
		soak := rapid.SampledFrom([]time.Duration{0, 20 * time.Second}).Draw(rt, "soak")
		w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{gate("a"), gate("b")}, Soak: &metav1.Duration{Duration: soak}, ProgressDeadline: &metav1.Duration{Duration: time.Hour}}
		settled := map[int]bool{}
		for range 150 {
			for _, g := range []string{"a", "b"} {
				p.passes[g] = rapid.IntRange(0, 4).Draw(rt, g) > 0
			}
			w.obey(rapid.SampledFrom(names).Draw(rt, "cluster"), "shop", rapid.SampledFrom([]v1alpha1.Health{v1alpha1.HealthReady, v1alpha1.HealthReady, v1alpha1.HealthInProgress}).Draw(rt, "health"))
			if r := w.newest("shop"); r != nil && rapid.IntRange(0, 60).Draw(rt, "despite") == 0 {
				r.Spec.Orders.DespiteGates = []string{"a"}
			}
			w.rest()
			w.later(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
			p.ask()
			r := w.newest("shop")
			for i, s := range r.Status.Waves {
				if s.Settled == nil || settled[i] {
					continue
				}
				settled[i] = true
				for _, g := range r.Status.Gates {
					if slices.Contains(r.Spec.Orders.DespiteGates, g.Name) {
						continue
					}
					if !g.Passes || s.Ran == nil || !g.Asked.After(s.Ran.Time) {
						rt.Fatalf("wave %d settled, and gate %s said %v at %s: %+v", i+1, g.Name, g.Passes, g.Asked, s)
					}
				}
			}
		}
		if len(w.wrong) > 0 {
			rt.Errorf("%v", w.wrong)
		}
	})
}
