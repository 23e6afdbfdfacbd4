package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// judgeBack says that what takes a change back is never taken back itself, nor what a person paused, and that one change is not taken back twice but
// by a person's word.
func (w *world) judgeBack(r *v1alpha1.Rollout) {
	if r.Spec.Undoes != "" && (r.Status.Back != "" || r.Status.Phase == v1alpha1.RolloutRolledBack) {
		w.again = append(w.again, r.Name+" is taken back")
	}
	if was := w.rollouts[r.Name]; was != nil && was.Spec.Orders.Paused && was.Status.Back == "" && r.Status.Back != "" {
		w.again = append(w.again, r.Name+" goes back, and a person paused it")
	}
	if failed := w.rollouts[r.Spec.Undoes]; failed != nil && w.rollouts[r.Name] == nil && failed.Status.Stops <= failed.Spec.Orders.Resumed {
		w.again = append(w.again, r.Name+" takes back what a person let go on")
	}
}

// fallsBack is a world in which revision 2 of a bundle fails in ap1, after it went well in stages before, if any, and is to go back by itself.
func fallsBack(t *testing.T, rollout v1alpha1.BundleRollout) *world {
	w := sixClusters(t)
	rollout.OnFailure = v1alpha1.OnFailureRollback
	w.apply("shop").Spec.Rollout = &rollout
	return w
}

// fail lets a cluster fail with what it was granted, for long enough that the rollout stops.
func (w *world) fail(cluster string) {
	w.rest()
	w.obey(cluster, "shop", v1alpha1.HealthFailed)
	for range 8 {
		w.rest()
		w.later(time.Second)
	}
	w.rest()
}

func TestAChangeThatFailsGoesBackByItself(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{})
	w.fail("ap1")
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-1.2 Running [ap]: wave 1 of 1, ap: waits for ap1, ap2")
	bad := w.rollouts["shop-00000001-2"]
	if bad.Status.Phase != v1alpha1.RolloutRolledBack || bad.Status.Message != "back to shop-00000001-1: it fails in ap1: its objects are not healthy" {
		t.Errorf("%s: %s", bad.Status.Phase, bad.Status.Message)
	}
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
	back := func() *v1alpha1.Rollout {
		s := w.situation()
		return plan.RolledBack(s.Bundles, s.Rollouts)[w.bundles["shop"].UID]
	}
	if r := back(); r == nil || r.Name != bad.Name {
		t.Errorf("nobody is told that %s was taken back", bad.Name)
	}
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || r.Spec.Undoes != "shop-00000001-2" || len(r.Spec.Waves) != 1 || len(w.rollouts) != 3 {
		t.Errorf("%+v", r)
	}
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{}
	if r := back(); r != nil {
		t.Errorf("the bundle has changed, and people are told of %s", r.Name)
	}
	w.settle()
	w.is("ap1 shop 3", "ap2 shop 3", "eu1 shop 3", "eu2 shop 3", "us1 shop 3", "us2 shop 3")
	if len(w.wrong)+len(w.again) > 0 {
		t.Error(w.wrong, w.again)
	}
}

func TestEveryFailureGoesBack(t *testing.T) {
	for name, c := range map[string]struct {
		rollout v1alpha1.BundleRollout
		life    func(w *world)
		why     string
	}{
		"a gate that does not pass in time": {
			v1alpha1.BundleRollout{Gates: []v1alpha1.RolloutGate{objectGate()}, ProgressDeadline: &metav1.Duration{Duration: time.Minute}},
			func(w *world) { w.passes = func(string) bool { return false }; w.wait(70 * time.Second) }, "gate migrated does not pass",
		},
		"a cluster that is late": {
			v1alpha1.BundleRollout{ProgressDeadline: &metav1.Duration{Duration: time.Minute}},
			func(w *world) {
				for range 80 {
					w.rest()
					w.obey("ap1", "shop", v1alpha1.HealthInProgress)
					w.obey("ap2", "shop", v1alpha1.HealthReady)
					w.later(time.Second)
				}
				w.rest()
			}, "it is not healthy in ap1 after 1m0s",
		},
		"one failure more than may be": {
			v1alpha1.BundleRollout{MaxFailures: 1},
			func(w *world) { w.fail("ap1"); w.fail("ap2") }, "it fails in ap1, ap2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := fallsBack(t, c.rollout)
			c.life(w)
			bad := w.rollouts["shop-00000001-2"]
			if bad.Status.Phase != v1alpha1.RolloutRolledBack || !strings.Contains(bad.Status.Message, c.why) {
				t.Fatalf("%s: %s", bad.Status.Phase, bad.Status.Message)
			}
			w.settle()
			w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
		})
	}
}

func TestItGoesBackInWavesWhereTheChangeHadCome(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain, Stages: []v1alpha1.RolloutStage{{Name: "ap", Domains: []string{"ap"}}, {Name: "eu", Domains: []string{"eu"}, Approval: v1alpha1.StageApprovalRequired}}})
	w.rest()
	w.newest("shop").Spec.Orders.Approved = []string{"ap", "eu"}
	letAllStages(w.newest("shop"))
	w.rest()
	w.obeyAll()
	w.rest()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 1", "us2 shop 1", "shop-00000001-2 Running [eu]: wave 2 of 3, eu: waits for eu1, eu2")
	w.fail("eu1")
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-1.2 Running [eu]: wave 1 of 2, eu: waits for eu1, eu2")
	w.settle() // nobody approves anything
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
	if len(w.wrong) > 0 {
		t.Error(w.wrong)
	}
}

func TestARollbackThatFailsStops(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{})
	w.fail("ap1")
	w.fail("ap1")
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-1.2 Failed [ap]: it fails in ap1: its objects are not healthy")
	w.later(time.Hour)
	w.rest()
	if len(w.rollouts) != 3 {
		t.Errorf("%s", w)
	}
	w.orderTo("shop", abort)
	w.settle()
	if len(w.rollouts) != 3 || len(w.again) > 0 {
		t.Errorf("it goes on after a person ended it: %s", w)
	}
}

func TestWhatNothingGoodWasBeforeStays(t *testing.T) {
	w := newWorld(t, "ap1", "eu1")
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{OnFailure: v1alpha1.OnFailureRollback}
	w.fail("ap1")
	w.is("ap1 shop 1", "shop-00000001-1 Failed [ap]: it fails in ap1: its objects are not healthy; no revision before it went through that it could go back to")
}

func TestTheFleetSaysWhatHappensOnFailure(t *testing.T) {
	w := sixClusters(t)
	w.fleet.OnFailure = v1alpha1.OnFailureRollback
	w.apply("shop")
	w.fail("ap1")
	if r := w.newest("shop"); r.Spec.Undoes != "shop-00000001-2" {
		t.Errorf("%s", w)
	}
	w.settle()
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{OnFailure: v1alpha1.OnFailurePause}
	w.fail("ap1")
	w.is("ap1 shop 3", "ap2 shop 3", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-3 Failed [ap]: it fails in ap1: its objects are not healthy")
}

func TestALostFaultDomainIsNoFailureToGoBackFor(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{})
	w.rest()
	w.silence("ap")
	w.later(time.Minute)
	w.rest()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutFailed || r.Status.Back != "" {
		t.Errorf("%s", w)
	}
}

func TestWhatAPersonPausedOnlyStops(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{})
	w.rest()
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Paused = true })
	w.fail("ap1")
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Failed [ap]: it fails in ap1: its objects are not healthy; a person paused it, so nothing goes back by itself")
	w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Paused, o.Resumed = false, 1 })
	w.fail("ap1")
	if r := w.newest("shop"); r.Spec.Undoes != "shop-00000001-2" {
		t.Errorf("it goes on, fails again, and does not go back: %s", w)
	}
}

func TestWhoWasAwayGoesBackOnReturnAndWhoJoinsGetsTheGoodRevision(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{MaxFailures: 1})
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthReady)
	w.obey("ap2", "shop", v1alpha1.HealthReady)
	w.rest() // it is in eu
	w.silence("ap2")
	w.later(10 * time.Second)
	w.fail("eu1")
	w.fail("eu2")
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1")
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || cmp.Diff([]string{"ap2"}, r.Status.Owed) != "" {
		t.Errorf("%s owed to %v", r.Status.Message, r.Status.Owed)
	}
	w.speak("ap2")
	w.join("us3")
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "us3 shop 1")
	if len(w.wrong)+len(w.again) > 0 {
		t.Error(w.wrong, w.again)
	}
}

func TestAPersonLetsWhatWasTakenBackGoOn(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{})
	w.fail("ap1")
	w.settle()
	w.rollouts["shop-00000001-2"].Spec.Orders.Resumed = 1
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	if len(w.again) > 0 {
		t.Error(w.again)
	}
}

func TestWhatWentThroughIsTakenFromNobody(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{})
	w.settle()
	w.join("ap3")
	w.fail("ap3")
	w.is("ap1 shop 2", "ap2 shop 2", "ap3 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2",
		"shop-00000001-2.2 Failed [ap]: it fails in ap3: its objects are not healthy")
}

func TestWhatIsDeletedAfterARollbackWaitsAsTheBundleSaid(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{Approval: v1alpha1.ApprovalDomain})
	w.rest()
	w.rollouts["shop-00000001-2"].Spec.Orders.Approved = []string{"ap"}
	w.fail("ap1")
	w.settle()
	if r := w.newest("shop"); r.Spec.Undoes == "" || r.Status.Phase != v1alpha1.RolloutComplete {
		t.Fatal(r.Name, r.Status.Phase)
	}
	w.later(time.Second)
	w.erase("shop")
	w.rest()
	if r := w.newest("shop"); r.Spec.Revision != "" || r.Spec.Approval != v1alpha1.ApprovalDomain {
		t.Errorf("%s waits for %q", r.Name, r.Spec.Approval)
	}
}

// TestAnAbortedRollbackStaysAborted: who joins then gets the revision before, and nobody else anything, until the abort is taken back.
func TestAnAbortedRollbackStaysAborted(t *testing.T) {
	w := fallsBack(t, v1alpha1.BundleRollout{})
	w.fail("ap1")
	w.orderTo("shop", abort)
	w.later(time.Second)
	for _, joins := range []string{"us3", "us4"} {
		w.join(joins)
		w.settle()
	}
	w.is("ap1 shop 1 held", "ap2 shop 1 held", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "us3 shop 1", "us4 shop 1")
	goOn(&w.rollouts["shop-00000001-1.2"].Spec.Orders)
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "us3 shop 1", "us4 shop 1")
}

// obeyButFail lets all clusters carry everything out, healthy, but for one, which fails, for long enough that the rollout stops.
func (w *world) obeyButFail(cluster string) {
	for range 20 {
		w.rest()
		w.obeyAll()
		w.obey(cluster, "shop", v1alpha1.HealthFailed)
		w.later(time.Second)
	}
	w.rest()
}

// TestWhoJoinsAndFailsWithTheRevisionBeforeTakesTheChangeFromNobody: that it fails is nothing of the change.
func TestWhoJoinsAndFailsWithTheRevisionBeforeTakesTheChangeFromNobody(t *testing.T) {
	soaks := v1alpha1.BundleRollout{Soak: &metav1.Duration{Duration: 5 * time.Second}}
	t.Run("the rollout stops", func(t *testing.T) {
		w := fallsBack(t, soaks)
		w.rest()
		w.join("ap3")
		w.obeyButFail("ap3")
		r := w.newest("shop")
		if r.Name != "shop-00000001-2" || r.Status.Stopped != "shop-00000001-1, which who joins gets first, fails in ap3: its objects are not healthy" || r.Status.Back != "" {
			t.Errorf("%s stopped: %q, back to %q\n%s", r.Name, r.Status.Stopped, r.Status.Back, w)
		}
		w.remove("ap3")
		w.orderTo("shop", func(o *v1alpha1.RolloutOrders) { o.Resumed = 1 })
		w.settle()
		w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	})
	t.Run("it counts to no failure of the change", func(t *testing.T) {
		soaks.MaxFailures = 1
		w := fallsBack(t, soaks)
		w.failures = 1
		w.join("ap3")
		w.rest()
		for range 200 {
			w.rest()
			for _, c := range []string{"ap1", "ap2", "eu1", "eu2", "us1", "us2", "ap3"} {
				health := v1alpha1.HealthReady
				if g := w.grants["shop"][c]; c == "us1" || c == "ap3" && strings.HasSuffix(g.Revision, "-1") {
					health = v1alpha1.HealthFailed
				}
				w.obey(c, "shop", health)
			}
			w.later(time.Second)
		}
		w.rest()
		if r := w.rollouts["shop-00000001-2"]; r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong) > 0 {
			t.Errorf("%+v\n%s\n%v", r.Status, w, w.wrong)
		}
		w.is("ap1 shop 2", "ap2 shop 2", "ap3 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
	})
}

// TestWhatOnlyGaveWhoJoinedTheRevisionBeforeDidNotGoThrough: of the change nothing has settled but what who joined got first.
func TestWhatOnlyGaveWhoJoinedTheRevisionBeforeDidNotGoThrough(t *testing.T) {
	w := stagedWorld(t)
	w.silence("ap")
	w.silence("eu")
	w.silence("us1")
	w.later(10 * time.Second)
	w.applyStaged(canaryFirst()) // prod waits for a person
	w.join("ap3")
	w.rest()
	w.obeyAll()
	w.rest()
	w.silence("ap3")
	w.silence("us2")
	w.later(10 * time.Second)
	w.rest()
	r := w.newest("shop")
	if r.Spec.Generation != 2 || r.Status.Phase != v1alpha1.RolloutComplete || !slices.Equal(wavesOf(r), []string{"prod ap ap3"}) {
		t.Fatalf("%s is %s, and its waves %v\n%s", r.Name, r.Status.Phase, wavesOf(r), w)
	}
	w.apply("shop").Spec.Rollout.Stages[1].Approval = v1alpha1.StageApprovalRequired
	w.speak("us2")
	w.rest()
	w.join("us3")
	w.rest()
	w.is("ap1 shop 1", "ap2 shop 1", "ap3 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1", "us3 shop 1",
		"shop-00000001-3 Paused [us]: stage prod waits for a person: hanse rollout approve shop-00000001-3 prod")
}
