package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// explained is what hanse explain says of the bundle shop, which is everywhere in generation 2, where there are those works and its last rollout is that one.
func explained(t *testing.T, works []v1alpha1.Work, now v1alpha1.Rollout, args ...string) string {
	t.Helper()
	f := newFleetWith(both[0], now)
	bundle := f.objects["bundles/shop"].(map[string]any)
	bundle["spec"] = map[string]any{"placement": map[string]any{"clusterSelector": map[string]any{}}}
	for _, w := range works {
		w.Name, w.Spec.Bundle = v1alpha1.WorkName("shop", w.Spec.Cluster), "shop"
		f.objects["works/"+w.Name] = w
		f.objects["clusters/"+w.Spec.Cluster] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: w.Spec.Cluster}}
	}
	code, out, _ := f.run(t, append([]string{"explain", "shop"}, args...)...)
	if code != exitOK {
		t.Errorf("exit %d: %s", code, out)
	}
	return out
}

// workThat is one of a cluster with a condition Ready.
func workThat(cluster string, status metav1.ConditionStatus, reason, message string) v1alpha1.Work {
	w := v1alpha1.Work{Spec: v1alpha1.WorkSpec{Cluster: cluster, Wanted: "shop-u-2", Granted: "shop-u-1"}}
	w.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message,
		LastTransitionTime: metav1.NewTime(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))}}
	return w
}

func TestExplainSaysWhyAndSinceWhen(t *testing.T) {
	at := func(minute int) *metav1.Time {
		return new(metav1.NewTime(time.Date(2030, 1, 2, 3, minute, 5, 0, time.UTC)))
	}
	paused := v1alpha1.Rollout{
		Spec: v1alpha1.RolloutSpec{Waves: []v1alpha1.Wave{{Domain: "eu", Clusters: []string{"fra"}}, {Domain: "us", Clusters: []string{"iad"}}}},
		Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Reason: v1alpha1.RolloutFrozen, Since: at(9), Message: "the fleet is frozen: holidays",
			Waves: []v1alpha1.WaveStatus{{Granted: at(7), Waiting: []string{"fra"}}, {}}},
	}
	fra := workThat("fra", metav1.ConditionFalse, "Applying", "the cluster has not applied the granted revision yet")
	fra.Spec.Granted = "shop-u-2"
	iad := workThat("iad", metav1.ConditionFalse, v1alpha1.ReasonWaiting, "its turn comes with wave 2 of 2, us; the rollout is paused: the fleet is frozen: holidays")
	for _, tt := range []struct{ args, want string }{
		{"", `shop is placed in 2 of 2 clusters
  fra      yes  every cluster is meant; it was chosen before  (applying, not ready since 2030-01-02 03:04:05Z: the cluster has not applied the granted revision yet)
  iad      yes  every cluster is meant; it was chosen before  (waiting, not ready since 2030-01-02 03:04:05Z: its turn comes with wave 2 of 2, us; the rollout is paused: the fleet is frozen: holidays)

rollout shop-u-2 is paused since 2030-01-02 03:09:05Z: the fleet is frozen: holidays
  wave 1, eu, was granted 2030-01-02 03:07:05Z
  next: hanse unfreeze
`},
		{"iad", `shop is placed in iad
  placement  every cluster is meant; it was chosen before
  granted    shop-u-1
  wanted     shop-u-2
  there      waiting, not ready since 2030-01-02 03:04:05Z: its turn comes with wave 2 of 2, us; the rollout is paused: the fleet is frozen: holidays

rollout shop-u-2 is paused since 2030-01-02 03:09:05Z: the fleet is frozen: holidays
  wave 1, eu, was granted 2030-01-02 03:07:05Z
  next: hanse unfreeze
`},
	} {
		var args []string
		if tt.args != "" {
			args = []string{"--cluster", tt.args}
		}
		if said := explained(t, []v1alpha1.Work{fra, iad}, paused, args...); said != tt.want {
			t.Errorf("hanse explain shop %s:\n%s", args, said)
		}
	}
}

func TestExplainSaysWhoIsOwedWhatIsComplete(t *testing.T) {
	complete := v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete, Owed: []string{"iad"}}}
	said := explained(t, []v1alpha1.Work{workThat("fra", metav1.ConditionTrue, "Ready", "")}, complete)
	if want := "\nrollout shop-u-2 is complete, and owed to iad\n"; !strings.HasSuffix(said, want) {
		t.Errorf("it does not say %q:\n%s", want, said)
	}
}

func TestExplainSaysThatAPersonAborted(t *testing.T) {
	aborted := v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutAborted, Message: "a person ended it"}}
	held := workThat("fra", metav1.ConditionFalse, v1alpha1.ReasonHeld, "what it was granted was taken back")
	held.Spec.Granted, held.Spec.Held = "", "shop-u-2"
	said := explained(t, []v1alpha1.Work{held}, aborted, "--cluster", "fra")
	for _, want := range []string{"held       shop-u-2\n", "rollout shop-u-2 is aborted: a person ended it\n", "next: hanse rollout rollback shop; or hanse rollout resume shop-u-2, to take the abort back\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
}

// Who joins after an abort gets what went through before, by a rollout that comes after the one that was aborted.
func TestExplainSaysThatAPersonAbortedWhateverCameSince(t *testing.T) {
	aborted := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Number: 1, Orders: v1alpha1.RolloutOrders{Aborted: true}}, Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutAborted, Message: "a person ended it"}}
	f := newFleetWith(both[0], aborted)
	since := ofRolledOut(both[0], aborted)[0]
	since.Name, since.Spec.Number, since.CreationTimestamp = "shop-u-1.2", 2, metav1.NewTime(time.Unix(2, 0))
	const want = "\nshop-u-2 is aborted: a person ended it; who joins gets shop-u-1, and bundle shop still says what it said\nnext: hanse rollout rollback shop; or hanse rollout resume shop-u-2, to take the abort back\n"
	for _, since.Status.Phase = range []v1alpha1.RolloutPhase{v1alpha1.RolloutRunning, v1alpha1.RolloutComplete} {
		f.objects["rollouts/"+since.Name] = since
		for _, verb := range [][]string{{"explain"}, {"rollout", "status"}} {
			if _, out, _ := f.run(t, append(verb, "shop")...); !strings.HasSuffix(out, want) {
				t.Errorf("while %s is %s, hanse %s does not end with %q:\n%s", since.Name, since.Status.Phase, verb, want, out)
			}
		}
		if code, out, _ := f.run(t, "rollout", "rollback", "shop"); code != exitOK || !strings.Contains(out, "has the content of shop-u-1 ") {
			t.Errorf("exit %d: %s", code, out)
		}
		if code, out, written := f.run(t, "rollout", "resume", "shop-u-2"); code != exitOK || !strings.Contains(strings.Join(written, ""), "rollouts/shop-u-2 ") {
			t.Errorf("exit %d, wrote %q: %s", code, written, out)
		}
	}
	delete(f.objects, "rollouts/"+since.Name)
	since.Name, since.Spec.Revision, since.Spec.Generation = "shop-u-2.2", "shop-u-2", ofRolledOut(both[0], aborted)[1].Spec.Generation
	f.objects["rollouts/"+since.Name] = since // the change had gone through before, so who joined got that
	const own = "\nshop-u-2 is aborted: a person ended it; who joins gets shop-u-2, and bundle shop still says what it said\n"
	if _, out, _ := f.run(t, "explain", "shop"); !strings.Contains(out, own) {
		t.Errorf("%q is not in %s", own, out)
	}
	aborted.Spec.Orders.Aborted = false // a person took that back
	f.objects["rollouts/shop-u-2"] = ofRolledOut(both[0], aborted)[1]
	if _, out, _ := f.run(t, "explain", "shop"); strings.Contains(out, "aborted") {
		t.Errorf("%s", out)
	}
}

func TestOfAWithdrawalNoAbortIsTold(t *testing.T) {
	all := []v1alpha1.Rollout{rolloutNamed("shop-2", "shop-2", 2, v1alpha1.RolloutAborted, ""), rolloutNamed("shop-withdrawal", "", 0, v1alpha1.RolloutRunning, "")}
	all[0].Spec.Orders.Aborted = true
	if text := besideText(&all[1], all); text != "" {
		t.Errorf("%s", text)
	}
}

func TestExplainOfManyClustersSaysEachThingOnce(t *testing.T) {
	var works []v1alpha1.Work
	for i := range 300 {
		w := workThat(fmt.Sprintf("c%03d", i), metav1.ConditionTrue, "Ready", "")
		switch {
		case i >= 290:
			w = workThat(w.Spec.Cluster, metav1.ConditionFalse, "Failed", "deployment shop/web: no such image")
		case i >= 200:
			w = workThat(w.Spec.Cluster, metav1.ConditionFalse, v1alpha1.ReasonWaiting, "its turn comes with wave 2 of 2, us")
		}
		works = append(works, w)
	}
	works[295].Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC))
	said := explained(t, works, v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete}})
	want := `shop is placed in 300 of 300 clusters
  c290, c291, c292, c293, c294 and 5 more   yes  every cluster is meant; it was chosen before  (failed, not ready since 2030-01-02 03:00:00Z: deployment shop/web: no such image)
  c200, c201, c202, c203, c204 and 85 more  yes  every cluster is meant; it was chosen before  (waiting, not ready since 2030-01-02 03:04:05Z: its turn comes with wave 2 of 2, us)
  200 clusters                              yes  every cluster is meant; it was chosen before
`
	if said != want {
		t.Errorf("%s", said)
	}
}

func TestWhereItIsNotPlacedExplainSaysWhatChangesThat(t *testing.T) {
	cluster := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "sin", Labels: map[string]string{"tier": "edge", v1alpha1.LabelRegion: "ap"}}, Spec: v1alpha1.ClusterSpec{Availability: v1alpha1.AvailabilityActive}}
	selecting := func(labels map[string]string, more ...metav1.LabelSelectorRequirement) v1alpha1.Placement {
		return v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{MatchLabels: labels, MatchExpressions: more}}
	}
	cordoned := *cluster.DeepCopy()
	cordoned.Spec.Availability = v1alpha1.AvailabilityCordoned
	tainted, suspended := *cluster.DeepCopy(), *cluster.DeepCopy()
	tainted.Spec.Taints = []v1alpha1.Taint{{Key: "gpu", Effect: v1alpha1.TaintNoSchedule}}
	suspended.Annotations = map[string]string{v1alpha1.AnnotationSuspended: ""}
	tolerating := selecting(nil)
	tolerating.Tolerations = []v1alpha1.Toleration{{Key: "gpu"}}
	for name, tt := range map[string]struct {
		placement v1alpha1.Placement
		cluster   v1alpha1.Cluster
		want      string
	}{
		"a label":               {selecting(map[string]string{"tier": "prod"}), cluster, "hanse label cluster sin tier=prod"},
		"two":                   {selecting(map[string]string{"tier": "prod", "a": "b"}), cluster, "hanse label cluster sin a=b tier=prod"},
		"its region":            {selecting(map[string]string{"tier": "prod", v1alpha1.LabelRegion: "eu"}), cluster, ""},
		"what it has not":       {selecting(nil, metav1.LabelSelectorRequirement{Key: "tier", Operator: metav1.LabelSelectorOpDoesNotExist}), cluster, ""},
		"others":                {selecting(nil, metav1.LabelSelectorRequirement{Key: "tier", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"edge"}}), cluster, ""},
		"a number":              {selecting(nil), cluster, ""},
		"cordoned":              {selecting(nil), cordoned, "hanse uncordon sin"},
		"named":                 {v1alpha1.Placement{Clusters: []string{"fra"}}, cluster, "add sin to spec.placement.clusters of bundle shop"},
		"cordoned, and a label": {selecting(map[string]string{"tier": "prod"}), cordoned, "hanse label cluster sin tier=prod; and hanse uncordon sin"},
		"tainted":               {selecting(nil), tainted, "tolerate gpu in spec.placement.tolerations of bundle shop, or take it out of spec.taints of cluster sin"},
		"tolerated":             {tolerating, tainted, ""},
		"beyond so many":        {v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}, NumberOfClusters: new(int32(2))}, cluster, "raise spec.placement.numberOfClusters of bundle shop"},
		"beyond so many, or uneven": {v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}, NumberOfClusters: new(int32(2)), SpreadConstraints: []v1alpha1.SpreadConstraint{{}}}, cluster,
			"raise spec.placement.numberOfClusters of bundle shop, or loosen its spreadConstraints"},
		"suspended, of so many": {v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}, NumberOfClusters: new(int32(2))}, suspended, "hanse unsuspend cluster sin"},
		"an expression":         {v1alpha1.Placement{Expression: "false"}, cluster, ""},
	} {
		if got := toChange(v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.BundleSpec{Placement: tt.placement}}, &tt.cluster); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// What is not as it is to be in a cluster is named, and the command that shows it.
func TestExplainSaysWhereToLookAtWhatIsWrong(t *testing.T) {
	web := v1alpha1.Problem{ObjectRef: v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}, Reason: "Unhealthy", Message: "no such image"}
	namespace := v1alpha1.Problem{ObjectRef: v1alpha1.ObjectRef{APIVersion: "v1", Kind: "Namespace", Name: "shop"}, Reason: "PruneFailed", Message: "it does not go"}
	patched := v1alpha1.Problem{ObjectRef: web.ObjectRef, Reason: v1alpha1.ReasonNotRendered, Message: "overrides[0] matches nothing"}
	for name, c := range map[string]struct {
		problems []v1alpha1.Problem
		want     string
	}{
		"none":            {nil, "no such image\n\n"},
		"one":             {[]v1alpha1.Problem{web}, "no such image\n  look       hanse kubectl --cluster fra -- describe deployment.apps web -n shop\n"},
		"of no namespace": {[]v1alpha1.Problem{namespace}, "\n  look       hanse kubectl --cluster fra -- describe namespace shop\n"},
		"an override":     {[]v1alpha1.Problem{patched}, "\n  look       hanse render shop --cluster fra\n"},
		"two":             {[]v1alpha1.Problem{web, namespace}, "\n  problem    deployment shop/web: no such image\n  problem    namespace shop: it does not go\n  look "},
		"seven":           {[]v1alpha1.Problem{web, web, web, web, web, web, web}, "\n             and 2 more: hanse get work shop.fra -o yaml\n  look "},
	} {
		t.Run(name, func(t *testing.T) {
			w := workThat("fra", metav1.ConditionFalse, "Failed", "deployment shop/web: no such image")
			w.Status.Problems = c.problems
			said := explained(t, []v1alpha1.Work{w}, v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete, Owed: []string{"iad"}}}, "--cluster", "fra")
			if !strings.Contains(said, c.want) {
				t.Errorf("it does not say %q:\n%s", c.want, said)
			}
		})
	}
}
