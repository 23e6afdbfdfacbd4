package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
)

// TestClustersThatRefuseAlikeAreToldTogether: a cluster is asked of many objects at once, and answers in any order.
func TestClustersThatRefuseAlikeAreToldTogether(t *testing.T) {
	var clusters []prospect
	for cluster, answers := range map[string][]string{"fra": {"a", "b", "c"}, "iad": {"c", "a", "b"}} {
		f := &foresight{}
		for _, name := range answers {
			o := unstructured.Unstructured{}
			o.SetKind("ConfigMap")
			o.SetName(name)
			f.refuse(o, "it is there already")
		}
		clusters = append(clusters, prospect{Cluster: cluster, Refused: f.sorted().refused})
	}
	if groups := alikeIn(clusters); len(groups) != 1 {
		t.Errorf("they are told apart: %v", groups)
	}
}

func TestWhatIsMadeAnewIsTold(t *testing.T) {
	job := v1alpha1.ObjectRef{APIVersion: "batch/v1", Kind: "Job", Namespace: "shop", Name: "migrate"}
	image := []compare.Field{{Path: "spec.template.spec.containers[a].image", Before: "a:1", After: "a:2"}}
	var out bytes.Buffer
	diffView{out: &out}.one(difference{Kind: "bundle", Name: "shop", Clusters: []prospect{
		{Cluster: "fra", Objects: []compare.Object{{ObjectRef: job, Fate: compare.Replaced, Immutable: []string{"spec.template"}, Fields: image}}},
		{Cluster: "iad"},
	}})
	const want = `shop: 1 cluster changes, 1 stays, 1 object is deleted and made anew

fra
  ± job shop/migrate   deleted and made anew: nobody can change spec.template
      spec.template.spec.containers[a].image   a:1 → a:2

iad  no change
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Who may not ask a cluster about one object is told of the others what the cluster says, and of that one what it was granted.
func TestOnlyWhatMayNotBeAskedIsTakenAsItWasGranted(t *testing.T) {
	thing := func(name, value string) unstructured.Unstructured {
		return object(t, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"shop"},"data":{"a":%q}}`, name, value))
	}
	s := step{
		before: []unstructured.Unstructured{thing("closed", "1"), thing("open", "1"), thing("gone", "1")},
		after:  []unstructured.Unstructured{thing("closed", "2"), thing("open", "2")},
	}
	f := &foresight{}
	ask := f.orAsGranted(func(_ context.Context, o unstructured.Unstructured) error {
		if o.GetName() != "open" {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, o.GetName(), errors.New("no role lets you"))
		}
		f.note(new(thing("open", "0")), &o)
		return nil
	})
	if err := each(t.Context(), append(s.after, s.before[2]), ask); err != nil {
		t.Fatal(err)
	}
	seen := f.sorted()
	seen.asGranted(s)
	p := prospect{Objects: compare.Objects(seen.before, seen.after), Unasked: seen.unasked}
	var said []string
	for _, o := range p.Objects {
		said = append(said, fmt.Sprint(o.Fate, " ", o.Name, " ", o.Fields))
	}
	want := []string{"Changed closed [{data.a 1 2 false}]", "Changed open [{data.a 0 2 false}]", "Deleted gone []"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	if len(seen.unasked) != 2 || !strings.Contains(seen.unasked[0].Why, "no role lets you") {
		t.Errorf("not asked: %v", seen.unasked)
	}
	d := drifting{unknown: map[string]bool{}, asked: map[string]bool{}}
	p.Cluster = "fra"
	d.note(v1alpha1.Bundle{}, []prospect{p})
	if !d.unknown["fra"] || len(d.found) != 1 || len(d.found[0].clusters[0].Objects) != 1 {
		t.Errorf("of drift only what was asked is known: %+v", d.found)
	}
}

// A member that loses a bundle goes by the policy of what it has, whatever the change says.
func TestWhatBecomesOfAWithdrawnBundleIsAsItWasGranted(t *testing.T) {
	prune, orphan := v1alpha1.BundleContent{Deletion: v1alpha1.DeletionPrune}, v1alpha1.BundleContent{Deletion: v1alpha1.DeletionOrphan}
	contents := contents{had: map[string]v1alpha1.BundleContent{"shop-1": prune, "shop-2": orphan}}
	held := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonHeld}}
	work := func(granted, keeps, applied string, conditions ...metav1.Condition) v1alpha1.Work {
		return v1alpha1.Work{Spec: v1alpha1.WorkSpec{Granted: granted, Held: keeps}, Status: v1alpha1.WorkStatus{Applied: applied, Conditions: conditions}}
	}
	for name, c := range map[string]struct {
		becomes v1alpha1.BundleContent
		work    v1alpha1.Work
		stays   bool
	}{
		"Prune becomes Orphan":                        {orphan, work("shop-1", "", "shop-1"), false},
		"Orphan becomes Prune":                        {prune, work("shop-2", "", "shop-2"), true},
		"away before it heard that it is let go":      {orphan, work("shop-2", "", "shop-1"), false},
		"away before it heard that it goes":           {prune, work("shop-1", "", "shop-2"), false},
		"what was granted was taken back":             {orphan, work("", "shop-2", "shop-1"), false},
		"what was granted and never applied was, too": {prune, work("", "shop-2", ""), true},
		"a withdrawal was taken back":                 {prune, work("", "", "shop-2", held...), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := whereabouts{bundle: v1alpha1.Bundle{Spec: v1alpha1.BundleSpec{BundleContent: c.becomes}}, works: map[string]v1alpha1.Work{"fra": c.work}}
			s, err := (&differ{}).step(t.Context(), w, &contents, "fra")
			if err != nil {
				t.Fatal(err)
			}
			if !s.loses || s.orphan != c.stays {
				t.Errorf("loses it: %v, it stays there: %v", s.loses, s.orphan)
			}
		})
	}
}

// What diff says is what the cluster's member does.
func TestDiffTakesOverWhatTheMemberDoes(t *testing.T) {
	bearing := func(label string) *unstructured.Unstructured {
		live := object(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"}}`)
		if label != "" {
			live.SetLabels(map[string]string{v1alpha1.LabelBundle: label})
		}
		return &live
	}
	long := strings.Repeat("long-", 20) + "name"
	ours, never, always, equal := bearing("shop"), v1alpha1.AdoptNever, v1alpha1.AdoptAlways, v1alpha1.AdoptIfEqual
	for name, tt := range map[string]struct {
		step step
		live *unstructured.Unstructured
		want plan.Taking
	}{
		"what is not there":                             {step{adopts: never}, nil, plan.Takes},
		"its own":                                       {step{adopts: never}, ours, plan.Takes},
		"its own, by a digest of its name":              {step{bundle: long, adopts: never}, bearing(v1alpha1.BundleLabel(long)), plan.Takes},
		"nobody's, and the bundle takes none":           {step{adopts: never}, bearing(""), plan.Leaves},
		"nobody's, and the bundle takes what is equal":  {step{adopts: equal}, bearing(""), plan.TakesEqual},
		"another bundle's that runs there":              {step{adopts: equal}, bearing("other"), plan.Leaves},
		"another bundle's that runs there, overwritten": {step{adopts: always}, bearing("other"), plan.Takes},
		"one that it lost to another bundle":            {step{adopts: always, has: true}, bearing("other"), plan.Leaves},
		"one that it was granted, and lost":             {step{adopts: always, before: []unstructured.Unstructured{*ours}}, bearing("other"), plan.Leaves},
		"another bundle's that runs there no more":      {step{adopts: equal}, bearing("past"), plan.TakesEqual},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.step.bundle == "" {
				tt.step.bundle = "shop"
			}
			tt.step.runs = map[string]bool{"shop": true, "other": true}
			f := &foresight{step: tt.step, granted: compare.ByIdentity(tt.step.before)}
			if got := f.taking(*ours, tt.live); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestWhyAClusterDoesNotTellWhatToTakeOver(t *testing.T) {
	ref := func(name string) v1alpha1.ObjectRef {
		return v1alpha1.ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: name}
	}
	seen := outlook{refused: []refusal{{ref("fixed"), "data: field is immutable"}}, unasked: []refusal{{ref("closed"), "forbidden"}},
		replaced: []compare.Object{{ObjectRef: ref("anew"), Immutable: []string{"spec.template"}}}}
	for name, want := range map[string]string{"fixed": "data: field is immutable; if it is to stay", "closed": "not known: forbidden", "anew": "nobody can change spec.template there", "open": ""} {
		if got := seen.whyUnknown(ref(name)); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
