package plan_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// eastAndWest is a scene of two clusters that were both granted revision shop-u-1.
func eastAndWest() plan.Scene {
	grant := v1alpha1.Grant{Bundle: "shop", BundleUID: "u", Revision: "shop-u-1", At: 7}
	runs := plan.Sighting{Fresh: true, Works: map[string]v1alpha1.WorkStatus{"shop": {Grant: 7, Applied: "shop-u-1", Health: v1alpha1.HealthReady}}}
	return plan.Scene{
		Now:       time.Unix(100, 0),
		Clusters:  []v1alpha1.Cluster{{ObjectMeta: metav1.ObjectMeta{Name: "east"}}, {ObjectMeta: metav1.ObjectMeta{Name: "west"}}},
		Grants:    map[string]map[string]v1alpha1.Grant{"shop": {"east": grant, "west": grant}},
		Sightings: map[string]plan.Sighting{"east": runs, "west": runs},
	}
}

func TestABundleIsReadyWhenAllItsClustersRunIt(t *testing.T) {
	shop := &v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "u", Generation: 1}}
	shop.Spec.Placement.Clusters = []string{"west", "east"}
	for name, c := range map[string]struct {
		change  func(*plan.Scene, *v1alpha1.Bundle)
		reason  string
		message string
		ready   int32
	}{
		"all run it":        {func(*plan.Scene, *v1alpha1.Bundle) {}, "Ready", "ready in 2 of 2 clusters", 2},
		"one was not heard": {func(s *plan.Scene, _ *v1alpha1.Bundle) { delete(s.Sightings, "west") }, "Progressing", "waiting for west", 1},
		"one is silent": {func(s *plan.Scene, _ *v1alpha1.Bundle) {
			s.Sightings["east"] = plan.Sighting{Works: s.Sightings["east"].Works}
		}, "Progressing", "waiting for east", 1},
		"one runs another revision": {func(s *plan.Scene, _ *v1alpha1.Bundle) {
			s.Sightings["east"] = plan.Sighting{Fresh: true, Works: map[string]v1alpha1.WorkStatus{"shop": {Grant: 7, Applied: "shop-u-0", Health: v1alpha1.HealthReady}}}
		}, "Progressing", "waiting for east", 1},
		"one ran it before it was granted again": {func(s *plan.Scene, _ *v1alpha1.Bundle) {
			s.Grants["shop"]["east"] = v1alpha1.Grant{Bundle: "shop", BundleUID: "u", Revision: "shop-u-1", At: 8}
		}, "Progressing", "waiting for east", 1},
		"one has no grant":         {func(s *plan.Scene, _ *v1alpha1.Bundle) { delete(s.Grants["shop"], "west") }, "Progressing", "waiting for west", 1},
		"nothing is picked":        {func(_ *plan.Scene, b *v1alpha1.Bundle) { b.Spec.Placement.Clusters = nil }, "NoClusters", "the placement picks no cluster", 0},
		"the next is not out yet":  {func(_ *plan.Scene, b *v1alpha1.Bundle) { b.Generation = 2 }, "Progressing", "waiting for east, west", 0},
		"a name is not in a fleet": {func(_ *plan.Scene, b *v1alpha1.Bundle) { b.Spec.Placement.Clusters = []string{"east", "mars"} }, "Ready", "ready in 1 of 1 clusters", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, b := eastAndWest(), shop.DeepCopy()
			c.change(&s, b)
			got := s.BundleStatus(b)
			ready := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady)
			if ready.Reason != c.reason || ready.Message != c.message || got.ReadyClusters != c.ready {
				t.Errorf("%d ready, %s: %s", got.ReadyClusters, ready.Reason, ready.Message)
			}
		})
	}
}

func TestAClusterIsReadyWhileItIsHeard(t *testing.T) {
	s := eastAndWest()
	s.Sightings["west"] = plan.Sighting{}
	for name, want := range map[string]string{"east": "Reached", "west": "Silent", "mars": "NotSeen"} {
		got := s.ClusterStatus(&v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}, name == "east")
		if reason := got.Conditions[0].Reason; reason != want {
			t.Errorf("%s is %s", name, reason)
		}
		if (got.Voter == v1alpha1.RoleVoter) != (name == "east") {
			t.Errorf("%s: %s", name, got.Voter)
		}
	}
}

func TestAClusterSaysWhetherTheFleetsAPIIsInIt(t *testing.T) {
	here := metav1.Condition{Status: metav1.ConditionTrue, Reason: "Registered"}
	gone := metav1.Condition{Status: metav1.ConditionFalse, Reason: "Forbidden", Message: "no rights"}
	before := []metav1.Condition{{Type: v1alpha1.ConditionAggregated, Status: here.Status, Reason: here.Reason}}
	for name, c := range map[string]struct {
		seen   *plan.Sighting
		before []metav1.Condition
		status metav1.ConditionStatus
		reason string
	}{
		"told":                          {&plan.Sighting{Fresh: true, Aggregated: gone}, before, gone.Status, gone.Reason},
		"told for the first time":       {&plan.Sighting{Fresh: true, Aggregated: here}, nil, here.Status, here.Reason},
		"not told yet":                  {&plan.Sighting{Fresh: true}, nil, "", ""},
		"not told to a new leader":      {&plan.Sighting{Fresh: true}, before, here.Status, here.Reason},
		"not heard by a new leader yet": {nil, before, here.Status, here.Reason},
		"silent":                        {&plan.Sighting{Aggregated: here}, before, metav1.ConditionUnknown, "Silent"},
		"silent, and never told":        {&plan.Sighting{}, nil, "", ""},
	} {
		s := plan.Scene{Now: time.Unix(1000, 0), Sightings: map[string]plan.Sighting{}}
		if c.seen != nil {
			s.Sightings["west"] = *c.seen
		}
		cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "west", Generation: 7}}
		cluster.Status.Conditions = c.before
		var got metav1.Condition
		if found := meta.FindStatusCondition(s.ClusterStatus(cluster, false).Conditions, v1alpha1.ConditionAggregated); found != nil {
			got = *found
		}
		if got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %+v", name, got)
		}
		if c.seen != nil && c.seen.Fresh && c.seen.Aggregated.Status != "" && (got.ObservedGeneration != 7 || got.LastTransitionTime.IsZero()) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAClusterWhoseMemberLivesMayHaveADeadControlPlane(t *testing.T) {
	dead := metav1.Condition{Status: metav1.ConditionFalse, Reason: "NoAnswer", Message: "it does not answer"}
	s := plan.Scene{Now: time.Unix(1000, 0), Sightings: map[string]plan.Sighting{"west": {Fresh: true, ControlPlane: dead}}}
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "west"}}
	cluster.Status = s.ClusterStatus(cluster, false)
	said := func(kind, reason string, status metav1.ConditionStatus) {
		t.Helper()
		if c := meta.FindStatusCondition(cluster.Status.Conditions, kind); c == nil || c.Status != status || c.Reason != reason {
			t.Errorf("%+v", cluster.Status.Conditions)
		}
	}
	said(v1alpha1.ConditionReady, "Reached", metav1.ConditionTrue)
	said(v1alpha1.ConditionControlPlaneHealthy, "NoAnswer", metav1.ConditionFalse)
	s.Sightings["west"] = plan.Sighting{ControlPlane: dead}
	cluster.Status = s.ClusterStatus(cluster, false)
	said(v1alpha1.ConditionControlPlaneHealthy, "Silent", metav1.ConditionUnknown)
}

func TestSurplusRevisionsAreTheOldestThatNobodyUses(t *testing.T) {
	var all []plan.Kept
	for i := range 14 {
		all = append(all, plan.Kept{Name: string(rune('a' + i)), BundleUID: "alive", Written: uint64(i)})
	}
	all = append(all, plan.Kept{Name: "y", BundleUID: "dead"}, plan.Kept{Name: "z", BundleUID: "dead"})
	got := plan.Surplus(all, map[string]bool{"a": true, "z": true}, map[string]bool{"alive": true})
	if want := "b c d y"; join(got) != want {
		t.Errorf("got %s, not %s", join(got), want)
	}
}

func join(names []string) string { return strings.Join(names, " ") }

func TestABundleSaysThatItHasLessThanItsPlacementAsksFor(t *testing.T) {
	b := &v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "b1", Generation: 2}}
	s := plan.Scene{Now: time.Unix(1000, 0), Clusters: []v1alpha1.Cluster{{ObjectMeta: metav1.ObjectMeta{Name: "fra"}}, {ObjectMeta: metav1.ObjectMeta{Name: "iad"}}}}
	placed := func(n *int32) *metav1.Condition {
		t.Helper()
		b.Spec.Placement = v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}, NumberOfClusters: n}
		b.Status = s.BundleStatus(b)
		return meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionPlaced)
	}
	if c := placed(new(int32(3))); c == nil || c.Status != metav1.ConditionFalse || c.Reason != "Unsatisfied" || c.Message != "3 clusters are wanted, and only 2 can be picked" || c.ObservedGeneration != 2 {
		t.Errorf("%+v", c)
	}
	if c := placed(new(int32(2))); c == nil || c.Status != metav1.ConditionTrue {
		t.Errorf("%+v", c)
	}
	if c := placed(nil); c != nil {
		t.Errorf("it asks for no number, and %+v", c)
	}
}
