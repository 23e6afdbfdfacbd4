package reconcile

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// wants is an object as a grant wants it, before anything is done for it.
func wants(kind, value string) *object {
	o := read(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": "x"}, "data": map[string]any{"value": value},
	}})
	o.place(mapping{namespaced: kind != "Namespace"})
	return o
}

func TestWhatIsAsItWasIsNotAppliedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		kind          string
		before, after func(*object)
		seen          func(*sighting) *sighting
		want          bool
	}{
		"the same":                       {want: true},
		"with other contents":            {after: func(o *object) { *o = *wants("ConfigMap", "other") }},
		"of another version of its kind": {before: func(o *object) { o.gvk.Version = "v1beta1" }},
		"not applied before":             {before: func(o *object) { o.applied = nil }},
		"that was to be put right":       {before: func(o *object) { o.todo = putBack }},
		"that had a problem":             {before: func(o *object) { o.problem = problem{reason: ReasonConflict} }},
		"that is refused now":            {after: func(o *object) { o.todo = nothing }},
		"that is not served now":         {after: func(o *object) { o.mapped = false }},
		"that is gone":                   {seen: func(*sighting) *sighting { return nil }},
		"that is going":                  {seen: func(s *sighting) *sighting { s.deleting = true; return s }},
		"that somebody changed":          {seen: func(s *sighting) *sighting { s.fields = "others"; return s }},
		"that somebody made anew":        {seen: func(s *sighting) *sighting { s.uid = "2"; return s }},
		"that another bundle took":       {seen: func(s *sighting) *sighting { s.bundle = "b"; return s }},
		"to which somebody added":        {seen: func(s *sighting) *sighting { s.manager = "somebody"; return s }, want: true},
		"that is not healthy":            {seen: func(s *sighting) *sighting { s.status = status.InProgressStatus; return s }, want: true},
		"a namespace":                    {kind: "Namespace", want: true},
		"a namespace that is not usable": {kind: "Namespace", seen: func(s *sighting) *sighting { s.status = status.InProgressStatus; return s }},
	} {
		t.Run(name, func(t *testing.T) {
			kind := c.kind
			if kind == "" {
				kind = "ConfigMap"
			}
			old, o := wants(kind, "same"), wants(kind, "same")
			old.todo, old.applied = nothing, &applied{uid: "1", version: "10", fields: "f"}
			seen := &sighting{uid: "1", version: "12", bundle: "a", fields: "f", status: status.CurrentStatus}
			if c.before != nil {
				c.before(old)
			}
			if c.after != nil {
				c.after(o)
			}
			if c.seen != nil {
				seen = c.seen(seen)
			}
			if got := stands(old, o, seen, "a", isB); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestOnlyTheNextGrantOfWhatIsCarriedOutGoesOn(t *testing.T) {
	first := Grant{Bundle: "shop", BundleUID: "u", Drift: v1alpha1.DriftCorrect}
	for name, c := range map[string]struct {
		was  bundle
		next func(*Grant)
		want bool
	}{
		"the next":                            {bundle{phase: tending}, func(*Grant) {}, true},
		"one that comes while rolling in":     {bundle{phase: rolling}, func(*Grant) {}, true},
		"after a withdrawal":                  {bundle{phase: withdrawing}, func(*Grant) {}, false},
		"after a look":                        {bundle{phase: observing}, func(*Grant) {}, false},
		"the first":                           {bundle{}, func(*Grant) {}, false},
		"by a damaged inventory":              {bundle{phase: tending, damaged: "half of it"}, func(*Grant) {}, false},
		"of another bundle of the name":       {bundle{phase: tending}, func(g *Grant) { g.BundleUID = "v" }, false},
		"one by which drift is only reported": {bundle{phase: tending}, func(g *Grant) { g.Drift = v1alpha1.DriftReport }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.was.grant = first
			next := first
			c.next(&next)
			if got := c.was.goesOn(next); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestWhatMayHaveLeftIsNoticed(t *testing.T) {
	listed := key{schema.GroupKind{Kind: "ConfigMap"}, "default", "x"}
	b := &bundle{objects: []*object{wants("ConfigMap", "any")}, inv: inventory{entries: map[key]entry{listed: {}}}}
	if b.leavesSome() {
		t.Error("what stays is taken to have left")
	}
	other := listed
	other.namespace = "elsewhere"
	if b.inv.entries[other] = (entry{}); !b.leavesSome() {
		t.Error("what lies in another namespace is taken to stay")
	}
}
