package main

import (
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func remembered(revision, uid string, since int64, verb v1alpha1.ChangeVerb) (c v1alpha1.Change) {
	c.ResourceVersion = revision
	c.Spec = v1alpha1.ChangeSpec{UID: uid, Since: since, Verb: verb, By: "anna"}
	return c
}

// What lies between two changes that do not follow each other nobody knows, and no rollback guesses it.
func TestNoFormIsToldAcrossAGap(t *testing.T) {
	const create, update, gone = v1alpha1.ChangeCreate, v1alpha1.ChangeUpdate, v1alpha1.ChangeDelete
	for name, tt := range map[string]struct {
		before, after v1alpha1.Change
		known         bool
	}{
		"made again":                 {remembered("5", "u-1", 3, gone), remembered("9", "u-2", 0, create), true},
		"made and not deleted":       {remembered("5", "u-1", 3, update), remembered("9", "u-2", 0, create), false},
		"changed after the deletion": {remembered("5", "u-1", 3, gone), remembered("9", "u-2", 7, update), false},
		"another one":                {remembered("5", "u-1", 3, update), remembered("9", "u-2", 7, update), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &past{kind: mustKind("Bundle"), name: "shop", at: 20, changes: []v1alpha1.Change{tt.before, tt.after}}
			f, err := p.formAt(t.Context(), 6)
			if (err == nil) != tt.known || f != nil || err != nil && !strings.Contains(err.Error(), "between 5 and 9") {
				t.Errorf("%v, %v", f, err)
			}
		})
	}
}

func TestHistoryTellsTwoOfOneNameApart(t *testing.T) {
	by := func(name, uid string) v1alpha1.Change {
		return v1alpha1.Change{Spec: v1alpha1.ChangeSpec{By: name, ByUID: uid, Through: "fra"}}
	}
	all := []v1alpha1.Change{by("anna", "11111111-a"), by("anna", "22222222-b"), by("otto", "33333333-c"), by("", "")}
	n := namesakesOf(all)
	var names []string
	for _, c := range all {
		names = append(names, n.called(c.Spec))
	}
	if got := strings.Join(names, ", "); got != "anna (11111111), anna (22222222), otto, the member of fra" {
		t.Error(got)
	}
}
