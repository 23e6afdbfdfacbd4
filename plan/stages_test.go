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
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// canaryFirst are stages: one cluster of each region, then all others after a person has said so.
func canaryFirst() []v1alpha1.RolloutStage {
	return []v1alpha1.RolloutStage{
		{Name: "canary", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"canary": "yes"}}},
		{Name: "prod", Approval: v1alpha1.StageApprovalRequired},
	}
}

// stagedWorld has the first revision of shop in six clusters; the first of each region are its canaries.
func stagedWorld(t *testing.T) *world {
	w := sixClusters(t)
	for _, c := range []string{"ap1", "eu1", "us1"} {
		w.clusters[c].labels["canary"] = "yes"
	}
	return w
}

func (w *world) applyStaged(stages []v1alpha1.RolloutStage) *v1alpha1.Rollout {
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Stages: stages}
	w.rest()
	return w.newest("shop")
}

// wavesOf are the waves of a rollout: its stage, its fault domain, its clusters.
func wavesOf(r *v1alpha1.Rollout) (waves []string) {
	for _, w := range r.Spec.Waves {
		waves = append(waves, strings.Join(append([]string{w.Stage, w.Domain}, w.Clusters...), " "))
	}
	return waves
}

func TestAStageComesWhenThoseBeforeItAreSettled(t *testing.T) {
	w := stagedWorld(t)
	r := w.applyStaged(canaryFirst())
	if diff := cmp.Diff([]string{"canary ap ap1", "canary eu eu1", "canary us us1", "prod ap ap2", "prod eu eu2", "prod us us2"}, wavesOf(r)); diff != "" {
		t.Fatal(diff)
	}
	w.settle()
	began := w.now
	w.later(time.Hour)
	w.rest()
	r = w.newest("shop")
	w.is("ap1 shop 2", "ap2 shop 1", "eu1 shop 2", "eu2 shop 1", "us1 shop 2", "us2 shop 1",
		"shop-00000001-2 Paused []: stage prod waits for a person: hanse rollout approve shop-00000001-2 prod")
	want := &v1alpha1.RolloutWait{For: v1alpha1.WaitForApproval, Stage: "prod", Since: metav1.Time{Time: r.Status.Wait.Since.Time}}
	if diff := cmp.Diff(want, r.Status.Wait); diff != "" || r.Status.Wait.Since.After(began.Add(time.Minute)) {
		t.Errorf("since %s, where it was %s: %s", r.Status.Wait.Since, began, diff)
	}
	t.Run("others go on meanwhile", func(t *testing.T) {
		w.apply("cart")
		w.settle()
		if r := w.newest("cart"); r.Status.Phase != v1alpha1.RolloutComplete {
			t.Errorf("%s", w)
		}
	})
	t.Run("a person lets it go on", func(t *testing.T) {
		w.rollouts["shop-00000001-2"].Spec.Orders.Stages = []string{"prod"}
		w.settle()
		if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || r.Status.Wait != nil || len(w.wrong) > 0 {
			t.Errorf("%+v %v", r.Status, w.wrong)
		}
	})
}

func TestAClusterIsInTheFirstStageThatIsForIt(t *testing.T) {
	w := stagedWorld(t)
	r := w.applyStaged([]v1alpha1.RolloutStage{
		{Name: "us-first", Domains: []string{"us"}},
		{Name: "canaries", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"canary": "yes"}}, Domains: []string{"eu", "us"}},
	})
	if diff := cmp.Diff([]string{"us-first us us1 us2", "canaries eu eu1", "others ap ap1 ap2", "others eu eu2"}, wavesOf(r)); diff != "" {
		t.Error(diff)
	}
}

func TestWhoIsRelabelledBeforeItsTurnIsInItsNewStage(t *testing.T) {
	w := stagedWorld(t)
	w.applyStaged(canaryFirst()) // ap1 is changed first
	delete(w.clusters["us1"].labels, "canary")
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 1", "eu1 shop 2", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Paused []: stage prod waits for a person: hanse rollout approve shop-00000001-2 prod")
}

func TestAStageSoaksAsItSays(t *testing.T) {
	w := stagedWorld(t)
	stages := canaryFirst()
	stages[0].Domains, stages[0].Soak, stages[1].Approval = []string{"eu"}, &metav1.Duration{Duration: time.Minute}, ""
	w.applyStaged(stages)
	w.obeyAll()
	w.rest()
	w.later(59 * time.Second)
	w.rest()
	if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"eu"}) {
		t.Errorf("it soaks for a minute: %v", in)
	}
	w.later(time.Second)
	w.rest()
	w.obeyAll()
	w.rest()
	if in := w.newest("shop").Status.InChange; !cmp.Equal(in, []string{"eu"}) {
		t.Errorf("the next stage soaks as the fleet says, not at all: %v", in)
	}
}

func TestWhatANewerChangeFindsUnsettledComesBeforeItsStages(t *testing.T) {
	w := stagedWorld(t)
	stages := canaryFirst()
	stages[1].Approval = ""
	w.applyStaged(stages)
	for w.newest("shop").Status.Wave < 5 { // prod in eu
		w.obeyAll()
		w.rest()
	}
	r := w.applyStaged(stages)
	if first := wavesOf(r)[0]; first != "prod eu eu2" || r.Status.Wave != 1 {
		t.Errorf("%s\n%q", w, wavesOf(r))
	}
	w.settle()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong) > 0 {
		t.Errorf("%s\n%v", w, w.wrong)
	}
}

func TestWhatIsHealthyByNowWaitsForItsStage(t *testing.T) {
	w := stagedWorld(t)
	w.fleet.Soak = &metav1.Duration{Duration: time.Minute}
	w.applyStaged(canaryFirst()[:1])
	for w.newest("shop").Status.Wave < 5 { // others in eu
		w.obeyAll()
		w.later(time.Minute)
		w.rest()
	}
	w.fleet.Soak = &metav1.Duration{}
	w.applyStaged(canaryFirst())
	w.obey("eu2", "shop", v1alpha1.HealthReady)
	w.settle()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutPaused || r.Status.Wait == nil {
		t.Errorf("%s\n%q", w, wavesOf(r))
	}
}

func TestAFixWaitsForNoWindowWhereItsChangeIsUnderWay(t *testing.T) {
	w := sixClusters(t)
	w.now = instant(t, "2026-07-06T16:59:50Z")
	windowed := func() {
		w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Windows: []v1alpha1.RolloutWindow{{End: "17:00"}}}
		w.rest()
	}
	windowed()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthFailed)
	w.later(time.Minute)
	windowed()
	w.is("ap1 shop 2", "ap2 shop 3", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-3 Running [ap]: wave 1 of 4, ap: waits for ap2")
	w.settle()
	if r := w.newest("shop"); len(r.Status.InChange) > 0 || r.Status.Wait == nil || r.Status.Wait.For != v1alpha1.WaitForWindow {
		t.Errorf("%s", w)
	}
	w.apply("cart")
	w.settle()
	if r := w.newest("cart"); r.Status.Phase != v1alpha1.RolloutComplete {
		t.Errorf("%s", w)
	}
}

func TestWhoWaitsBehindAStageThatWaitsForAPersonIsToldSo(t *testing.T) {
	w := stagedWorld(t)
	stages := canaryFirst()
	stages[1].Approval = ""
	w.applyStaged(stages)
	for w.newest("shop").Status.Wave < 5 { // prod in eu
		w.obeyAll()
		w.rest()
	}
	w.applyStaged(canaryFirst())
	w.apply("cart")
	w.rest()
	w.later(time.Second)
	w.obeyOf("cart")
	w.rest()
	if r := w.newest("cart"); !strings.Contains(r.Status.Message, "behind shop; shop waits for a person: hanse rollout status shop") {
		t.Errorf("%s", w)
	}
	if r := w.newest("shop"); !cmp.Equal(r.Status.InChange, []string{"eu"}) || r.Status.Message != "stage prod waits for a person: hanse rollout approve shop-00000001-3 prod" {
		t.Errorf("%s", w)
	}
}

func TestWhoComesBackAsksForNoOtherWord(t *testing.T) {
	w := stagedWorld(t)
	w.silence("us2")
	w.later(10 * time.Second)
	w.applyStaged(canaryFirst())
	w.rollouts["shop-00000001-2"].Spec.Orders.Stages = []string{"prod"}
	w.settle()
	w.speak("us2")
	w.settle()
	if r := w.newest("shop"); r.Spec.Number != 2 || r.Status.Phase != v1alpha1.RolloutComplete {
		t.Errorf("%s: %s", r.Name, w)
	}
}

func TestWhoJoinsGetsTheLastGoodRevisionWhileItsStageWaits(t *testing.T) {
	w := stagedWorld(t)
	w.applyStaged(canaryFirst())
	w.settle()
	w.join("us3")
	w.settle()
	if g := w.grants["shop"]["us3"]; !strings.HasSuffix(g.Revision, "-1") || len(w.wrong) > 0 {
		t.Errorf("%s", w)
	}
	w.rollouts["shop-00000001-2"].Spec.Orders.Stages = []string{"prod"}
	w.settle()
	if g := w.grants["shop"]["us3"]; !strings.HasSuffix(g.Revision, "-2") || w.newest("shop").Status.Phase != v1alpha1.RolloutComplete {
		t.Errorf("%s", w)
	}
}

func TestWhoComesBackToAStageThatIsClosedHoldsNobodyUp(t *testing.T) {
	w := stagedWorld(t)
	w.now = instant(t, "2026-07-06T16:59:00Z")
	stages := canaryFirst()
	stages[0].Windows = []v1alpha1.RolloutWindow{{End: "17:00"}}
	w.silence("us1")
	w.later(10 * time.Second)
	w.applyStaged(stages)
	w.settle()
	w.later(5 * time.Minute)
	w.speak("us1")
	w.rest()
	w.rollouts["shop-00000001-2"].Spec.Orders.Stages = []string{"prod"}
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 2",
		"shop-00000001-2 Running []: stage canary waits for its window, which opens 2026-07-07 00:00Z")
}

// TestAStageThatIsNotOverIsWaitedFor: one of its waves has settled, or somebody who has joined has the last good revision, and its others wait.
func TestAStageThatIsNotOverIsWaitedFor(t *testing.T) {
	closing := func() []v1alpha1.RolloutStage {
		stages := canaryFirst()
		stages[0].Windows, stages[1].Approval = []v1alpha1.RolloutWindow{{End: "17:00"}}, ""
		return stages
	}
	for name, row := range map[string]struct {
		do   func(*world)
		ends []string
	}{
		"for a person, where somebody joins": {func(w *world) {
			stages := canaryFirst()
			stages[0].Approval, stages[1].Approval = v1alpha1.StageApprovalRequired, ""
			w.applyStaged(stages)
			w.join("us3")
			w.clusters["us3"].labels["canary"] = "yes"
		}, []string{"ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "us3 shop 1",
			"shop-00000001-2 Paused []: stage canary waits for a person: hanse rollout approve shop-00000001-2 canary"}},
		"for its window, which closes when it has begun": {func(w *world) {
			w.applyStaged(closing())
			w.later(time.Minute)
		}, []string{"ap1 shop 2", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
			"shop-00000001-2 Running []: stage canary waits for its window, which opens 2026-07-07 00:00Z"}},
		"for its window, outside of which a fix goes to what is under way": {func(w *world) {
			w.applyStaged(closing())
			w.later(time.Minute)
			w.applyStaged(closing())
		}, []string{"ap1 shop 3", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
			"shop-00000001-3 Running []: stage canary waits for its window, which opens 2026-07-07 00:00Z"}},
		"for its window, where one that waits is relabelled": {func(w *world) {
			w.applyStaged(closing())
			w.later(time.Minute)
			w.settle()
			w.relabelAll([]string{"eu1", "us1"}, "za")
		}, []string{"ap1 shop 2", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
			"shop-00000001-2 Running []: stage canary waits for its window, which opens 2026-07-07 00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := stagedWorld(t)
			w.now = instant(t, "2026-07-06T16:59:50Z")
			row.do(w)
			w.settle()
			w.is(row.ends...)
		})
	}
}

func TestWhoIsLateInAnEarlyStageComesBeforeTheNext(t *testing.T) {
	w := stagedWorld(t)
	w.silence("us1")
	w.later(10 * time.Second)
	stages := canaryFirst()
	w.applyStaged(stages)
	w.settle()
	w.speak("us1")
	w.rest()
	w.rollouts["shop-00000001-2"].Spec.Orders.Stages = []string{"prod"}
	w.rest()
	r := w.newest("shop")
	if last := wavesOf(r)[len(r.Spec.Waves)-1]; last != "canary us us1" || !cmp.Equal(r.Status.InChange, []string{"us"}) {
		t.Errorf("%s\n%q", w, wavesOf(r))
	}
	w.settle()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong) > 0 {
		t.Errorf("%s\n%v", w, w.wrong)
	}
}

func TestAllAtOnceAsksForNoStage(t *testing.T) {
	w := stagedWorld(t)
	w.fleet.MaxDomains = 3
	w.applyStaged(canaryFirst())
	w.rollouts["shop-00000001-2"].Spec.Orders.AllAtOnce = true
	w.rest()
	w.obeyAll()
	w.rest()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete {
		t.Errorf("%s", w)
	}
}

// TestNoStageBeginsBeforeAnEarlierOneIsOver plays changes of a bundle with stages, of which the first has a window that closes, or waits for a person,
// while clusters join and leave. The judge looks at each write.
func TestNoStageBeginsBeforeAnEarlierOneIsOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, "ap1", "ap2", "ap3", "eu1", "eu2", "us1", "us2")
		w.fleet.MaxDomains = rapid.Int32Range(1, 3).Draw(rt, "maxDomains")
		w.now = instant(rt, "2026-07-06T16:55:00Z")
		w.apply("shop")
		w.settle()
		rings := rapid.SampledFrom([]string{"a", "b", "c"})
		for _, c := range slices.Sorted(maps.Keys(w.clusters)) {
			w.clusters[c].labels["ring"] = rings.Draw(rt, c)
		}
		ring := func(is string) *metav1.LabelSelector {
			return &metav1.LabelSelector{MatchLabels: map[string]string{"ring": is}}
		}
		w.rollout.Stages = []v1alpha1.RolloutStage{{Name: "a", ClusterSelector: ring("a")}, {Name: "b", ClusterSelector: ring("b")}}
		if one := intstr.FromInt32(1); rapid.Bool().Draw(rt, "canary") {
			w.rollout.Canary = &one
		}
		switch rapid.IntRange(0, 2).Draw(rt, "waits for") {
		case 0:
			w.rollout.Stages[0].Windows = []v1alpha1.RolloutWindow{{End: "17:00"}}
		case 1:
			w.rollout.Stages[0].Approval = v1alpha1.StageApprovalRequired
		}
		w.apply("shop")
		for range rapid.IntRange(20, 80).Draw(rt, "steps") {
			w.rest()
			some := rapid.SampledFrom(slices.Sorted(maps.Keys(w.clusters))).Draw(rt, "cluster")
			switch rapid.IntRange(0, 12).Draw(rt, "what") {
			case 0:
				w.apply("shop")
			case 1:
				w.join(fmt.Sprintf("us%d", 3+len(w.clusters)))
				w.clusters[fmt.Sprintf("us%d", 2+len(w.clusters))].labels["ring"] = rings.Draw(rt, "ring")
			case 2:
				w.relabel(some, "za")
			case 3:
				w.silence(some)
			case 4:
				w.speak("")
			case 5:
				w.later(time.Minute)
			default:
				w.obey(some, "shop", v1alpha1.HealthReady)
			}
		}
		w.later(24 * time.Hour)
		w.now = w.now.Truncate(24 * time.Hour)
		w.heal()
		w.settle()
		w.heal()
		w.settle()
		if !w.allEnded() || len(w.wrong)+len(w.unsaid) > 0 {
			rt.Errorf("%s\n%v\n%v", w, w.wrong, w.unsaid)
		}
	})
}

// inParts lets rollouts of a life have stages, windows and gates, or not.
func inParts(t *rapid.T, w *world) {
	if rapid.Bool().Draw(t, "back") {
		w.rollout.OnFailure = v1alpha1.OnFailureRollback
		for _, name := range someBundles { // something good to go back to
			w.apply(name)
		}
		w.settle()
	}
	if rapid.Bool().Draw(t, "gates") {
		w.rollout.Gates = []v1alpha1.RolloutGate{objectGate()}
		w.passes = func(string) bool { return rapid.IntRange(0, 3).Draw(t, "the object says") > 0 }
	}
	if rapid.Bool().Draw(t, "stages") {
		w.rollout.Stages = someStages(t)
	}
	if rapid.Bool().Draw(t, "windows") {
		w.rollout.Windows = someWindows()
	}
	if rapid.IntRange(0, 3).Draw(t, "approval") == 3 {
		w.rollout.Approval = v1alpha1.ApprovalDomain
	}
}

// someStages are for one zone of each region, and then perhaps for a region, which may wait for a person.
func someStages(t *rapid.T) []v1alpha1.RolloutStage {
	zones := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: v1alpha1.LabelZone, Operator: metav1.LabelSelectorOpIn, Values: []string{"ap-a", "eu-a", "us-a"}},
	}}
	approval := rapid.SampledFrom([]v1alpha1.StageApproval{v1alpha1.StageApprovalNever, v1alpha1.StageApprovalRequired}).Draw(t, "approval")
	var windows []v1alpha1.RolloutWindow
	if rapid.Bool().Draw(t, "a window of the stage") {
		windows = someWindows()
	}
	return []v1alpha1.RolloutStage{
		{Name: "canary", ClusterSelector: zones, Windows: windows},
		{Name: "eu", Domains: []string{"eu", "eu-b"}, Approval: approval},
	}
}

// letIn lets a rollout into all its fault domains.
func letIn(r *v1alpha1.Rollout) {
	for _, v := range r.Spec.Waves {
		if !slices.Contains(r.Spec.Orders.Approved, v.Domain) {
			r.Spec.Orders.Approved = append(slices.Clone(r.Spec.Orders.Approved), v.Domain)
		}
	}
}

// letAllStages lets all stages of a rollout begin.
func letAllStages(r *v1alpha1.Rollout) {
	r.Spec.Orders.Stages = nil
	for _, s := range r.Spec.Stages {
		r.Spec.Orders.Stages = append(r.Spec.Orders.Stages, s.Name)
	}
}
