package agent

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/report"
)

func TestAWorkSaysWhyItsMemberCannotAct(t *testing.T) {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: "LeaseHeld", Message: "another agent acts in this cluster"}
	s := report.Sighting{ToldAt: time.Now(), Bundles: map[string]report.Bundle{"shop": {Bundle: "shop", Status: v1alpha1.WorkStatus{
		Applied: "shop-1", Health: v1alpha1.HealthUnknown, Conditions: []metav1.Condition{ready},
	}}}}
	w := entry{wanted: true, granted: "shop-1"}.work(pair{"shop", "sin"}, saidOf(s, "shop"))
	c := w.Status.Conditions[0]
	if c.Reason != "LeaseHeld" || c.Message != ready.Message || c.Status != metav1.ConditionUnknown {
		t.Errorf("the condition is %+v", c)
	}
	if n := counted(v1alpha1.BundleCounts{}, c, w.Status); n.Failed != 1 || n.Ready != 0 {
		t.Errorf("counted as %+v", n)
	}
}

// What a cluster runs may be healthy, and not what is wanted: then it is not ready, and says what it waits for.
func TestAWorkIsNotReadyBeforeItHasWhatIsWanted(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	bundle := v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "b1", Generation: 3}}
	bundle.Spec.Placement.Clusters = []string{"fra"}
	silent := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Silent", LastTransitionTime: metav1.Unix(60, 0)}
	paused := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Bundle: "shop", BundleUID: "b1", Generation: 3, Waves: []v1alpha1.Wave{{Domain: "eu", Clusters: []string{"fra"}}}},
		Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Message: "a person paused it", Waves: []v1alpha1.WaveStatus{{}}}}
	aborted := v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "shop-b1-3"}, Spec: v1alpha1.RolloutSpec{Bundle: "shop", BundleUID: "b1", Generation: 3, Orders: v1alpha1.RolloutOrders{Aborted: true}},
		Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutAborted}}
	before := v1alpha1.Grant{Bundle: "shop", BundleUID: "b1", Revision: "shop-b1-2"}
	held := v1alpha1.Grant{Bundle: "shop", BundleUID: "b1", Revision: "shop-b1-3", Held: true}
	for name, tt := range map[string]struct {
		state           map[string]any
		conditions      []metav1.Condition
		applied, reason string
		message         string
		granted, held   string
		counts          v1alpha1.BundleCounts
	}{
		"right after it was applied": {map[string]any{v1alpha1.GrantKey("fra", "shop"): before}, nil, "shop-b1-2", "Waiting", "it runs what it was granted before, healthy; its rollout has yet to begin", "shop-b1-2", "",
			v1alpha1.BundleCounts{Total: 1, Ready: 1}},
		"while its rollout is paused": {map[string]any{v1alpha1.GrantKey("fra", "shop"): before, v1alpha1.KeyRollouts + "r": paused}, nil, "shop-b1-2", "Waiting",
			"it runs what it was granted before, healthy; its turn comes with wave 1 of 1, eu; the rollout is paused: a person paused it", "shop-b1-2", "", v1alpha1.BundleCounts{Total: 1, Ready: 1}},
		"while the cluster is away": {map[string]any{v1alpha1.GrantKey("fra", "shop"): before}, []metav1.Condition{silent}, "shop-b1-2", "Owed",
			"it runs what it was granted before, healthy; away since 1970-01-01 00:01:00Z: its turn is when it is back", "shop-b1-2", "", v1alpha1.BundleCounts{Total: 1, Ready: 1}},
		"never granted": {map[string]any{v1alpha1.KeyRollouts + "r": paused}, nil, "", "Waiting",
			"its turn comes with wave 1 of 1, eu; the rollout is paused: a person paused it", "", "", v1alpha1.BundleCounts{Total: 1}},
		"held by an abort": {map[string]any{v1alpha1.GrantKey("fra", "shop"): held, v1alpha1.KeyRollouts + "r": aborted}, nil, "shop-b1-2", "Held",
			"what it was granted was taken back, and what is there is left as it is until a newer change, or hanse rollout resume shop-b1-3", "", "shop-b1-3", v1alpha1.BundleCounts{Total: 1}},
		"held, and what it was granted runs": {map[string]any{v1alpha1.GrantKey("fra", "shop"): held, v1alpha1.KeyRollouts + "r": aborted}, nil, "shop-b1-3", "Held",
			"what it was granted was taken back, and what is there is left as it is until a newer change, or hanse rollout resume shop-b1-3", "", "shop-b1-3", v1alpha1.BundleCounts{Total: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.state[v1alpha1.KeyBundles+"shop"] = bundle
			tt.state[v1alpha1.KeyClusters+"fra"] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra", UID: "c1"}, Status: v1alpha1.ClusterStatus{Conditions: tt.conditions}}
			c := &Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID}), now: time.Now}
			if tt.applied != "" {
				c.reports.Tell([]report.Bundle{{Bundle: "shop", BundleUID: "b1", Status: v1alpha1.WorkStatus{Applied: tt.applied, Health: v1alpha1.HealthReady}}})
				c.reports.Beat(1, nil, time.Now())
			}
			all, err := newWorks(c).list(storetest.View(t, member, tt.state))
			if err != nil || len(all) != 1 {
				t.Fatalf("%d works, %v", len(all), err)
			}
			w, ready := all[0], all[0].Status.Conditions[0]
			if ready.Status != metav1.ConditionFalse || ready.Reason != tt.reason || ready.Message != tt.message || ready.ObservedGeneration != 3 {
				t.Errorf("%+v", ready)
			}
			if w.Spec.Granted != tt.granted || w.Spec.Held != tt.held {
				t.Errorf("granted %q, held %q", w.Spec.Granted, w.Spec.Held)
			}
			if got := counted(v1alpha1.BundleCounts{}, ready, w.Status); got != tt.counts {
				t.Errorf("counted as %+v", got)
			}
		})
	}
}

func TestSuspendedWorksAreCountedAsSuch(t *testing.T) {
	var got v1alpha1.BundleCounts
	count := func(reason string, problems ...v1alpha1.Problem) {
		got = counted(got, metav1.Condition{Status: metav1.ConditionUnknown, Reason: reason}, v1alpha1.WorkStatus{Problems: problems})
	}
	count(v1alpha1.ReasonSuspended)
	count(v1alpha1.ReasonSuspended, v1alpha1.Problem{Reason: "Conflict"})
	count(v1alpha1.ReasonObserving)
	if want := (v1alpha1.BundleCounts{Total: 3, Failed: 1, Suspended: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAWorksConditionKeepsItsTime(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	bundle := v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "b1", Generation: 3}}
	bundle.Spec.Placement.Clusters = []string{"fra"}
	v := storetest.View(t, member, map[string]any{
		v1alpha1.KeyClusters + "fra":     v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra", UID: "c1"}},
		v1alpha1.KeyBundles + "shop":     bundle,
		v1alpha1.GrantKey("fra", "shop"): v1alpha1.Grant{Bundle: "shop", BundleUID: "b1", Revision: "shop-b1-3"},
	})
	now := time.Unix(1_000_000, 0)
	c := &Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID}), now: func() time.Time { return now }}
	w := steadyWorks{works: newWorks(c)}
	objects := int32(0)
	told := func(health v1alpha1.Health) *v1alpha1.Work {
		t.Helper()
		now = now.Add(time.Minute)
		objects++ // so that it says something else
		c.reports.Tell([]report.Bundle{{Bundle: "shop", BundleUID: "b1", Status: v1alpha1.WorkStatus{Applied: "shop-b1-3", Objects: objects, Health: health}}})
		c.reports.Beat(1, nil, time.Now())
		news, err := w.compute(v)
		all := w.objects()
		if err != nil || !news || len(all) != 1 {
			t.Fatalf("%d works, news %v, %v", len(all), news, err)
		}
		return all[0].(*v1alpha1.Work)
	}
	first := told(v1alpha1.HealthReady)
	if got := first.Status.Conditions[0]; got.Status != metav1.ConditionTrue || got.ObservedGeneration != 3 || first.Generation != 3 || first.UID == "" {
		t.Errorf("%+v of generation %d, UID %q", got, first.Generation, first.UID)
	}
	w.rows[pair{"shop", "fra"}].since = 7
	if again := told(v1alpha1.HealthReady); again.Status.Conditions[0].LastTransitionTime.Unix() != 7 || again.UID != first.UID {
		t.Errorf("it is told again, and its time moves: %+v", again.Status.Conditions[0])
	}
	turned := told(v1alpha1.HealthFailed).Status.Conditions[0]
	if turned.Status != metav1.ConditionFalse || !turned.LastTransitionTime.Time.Equal(now) {
		t.Errorf("it turns, and its time is another: %+v", turned)
	}
	still := told(v1alpha1.HealthUnknown).Status.Conditions[0]
	if still.Reason == turned.Reason || !still.LastTransitionTime.Equal(&turned.LastTransitionTime) {
		t.Errorf("another reason is no transition: %+v", still)
	}
}

// Works show when a member was heard last to the second: within one, a report that says nothing else makes none of them anew.
func TestAReportWithinASecondMakesNoWorkAnew(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	v := storetest.View(t, member, map[string]any{
		v1alpha1.KeyClusters + "fra": v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra"}}, v1alpha1.GrantKey("fra", "shop"): v1alpha1.Grant{Bundle: "shop", BundleUID: "b1", Revision: "shop-b1-3"},
	})
	w := newWorks(&Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID})})
	at := func(told time.Time) (found entry) {
		t.Helper()
		if err := w.each(v, map[string]report.Sighting{"fra": {ToldAt: told}}, func(_ pair, e entry, _ report.Bundle) { found = e }); err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := at(time.Unix(1_000_000, 1))
	if first.bundleUID != "b1" || first != at(time.Unix(1_000_000, 999)) {
		t.Errorf("%+v, and later in the same second %+v", first, at(time.Unix(1_000_000, 999)))
	}
	if first == at(time.Unix(1_000_001, 0)) {
		t.Error("it is not seen that the member was heard again")
	}
	if seen := first.work(pair{"shop", "fra"}, report.Bundle{}).Status.SeenAt; seen == nil || !seen.Time.Equal(time.Unix(1_000_000, 0)) {
		t.Errorf("it was seen at %v", seen)
	}
	if never := at(time.Time{}).work(pair{"shop", "fra"}, report.Bundle{}).Status.SeenAt; never != nil {
		t.Errorf("it was never heard, and seen at %v", never)
	}
}

func TestWhatIsComputedHasAUIDOfWhatItIsComputedFrom(t *testing.T) {
	if here, there := uidOf("works", "b1", "c1"), uidOf("works", "b1", "c1"); here != there {
		t.Error("it differs from member to member")
	}
	seen := map[types.UID]bool{}
	for _, uid := range []types.UID{uidOf("works", "b1", "c1"), uidOf("works", "b2", "c1"), uidOf("works", "b1", "c2"), uidOf("clustermetrics", "c1")} {
		if seen[uid] {
			t.Errorf("%s twice", uid)
		}
		seen[uid] = true
	}
}

// The leader may have taken its revisions away by then, but who saw one knows.
func TestAWorkOfADeletedBundleHasItsAge(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	made := metav1.Unix(1000, 0)
	revision := v1alpha1.BundleRevision{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: made}, Spec: v1alpha1.BundleRevisionSpec{Bundle: "shop", BundleUID: "0123456789"}}
	state := map[string]any{
		v1alpha1.KeyClusters + "fra":                            v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra"}},
		v1alpha1.GrantKey("fra", "shop"):                        v1alpha1.Grant{Bundle: "shop", BundleUID: "0123456789", Withdraw: true},
		v1alpha1.KeyBundleRevisions + "shop-01234567-2":         revision,
		v1alpha1.KeyBundleRevisions + "shop-01234567-x-other-1": v1alpha1.BundleRevision{},
	}
	w := newWorks(&Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID})})
	for _, there := range []bool{true, false} {
		if !there {
			delete(state, v1alpha1.KeyBundleRevisions+"shop-01234567-2")
		}
		all, err := w.list(storetest.View(t, member, state))
		if err != nil || len(all) != 1 || !all[0].CreationTimestamp.Equal(&made) {
			t.Errorf("with its revision %v: %v, %v", there, all, err)
		}
	}
}
