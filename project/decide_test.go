package project

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func TestWhatIsDoneAboutAnObject(t *testing.T) {
	now := Fleet{Name: "acme", Epoch: "e1", Revision: 20}
	wanted := &want{value: &clusterProperty{}, uid: "u", digest: "d"}
	ours := func(change func(*live)) *live {
		l := &live{ours: true, intact: true, mark: mark{UID: "u", Epoch: "e1", Revision: 10, Digest: "d"}}
		change(l)
		return l
	}
	same := func(*live) {}
	for name, c := range map[string]struct {
		want *want
		live *live
		do   verb
	}{
		"neither wanted nor there":                         {nil, nil, keep},
		"missing":                                          {wanted, nil, create},
		"as it should be":                                  {wanted, ours(same), keep},
		"changed by somebody":                              {wanted, ours(func(l *live) { l.intact = false }), repair},
		"of an earlier revision":                           {wanted, ours(func(l *live) { l.mark.Digest = "other" }), update},
		"of a cluster that had the name before":            {wanted, ours(func(l *live) { l.mark.UID = "other" }), update},
		"of an earlier epoch, still wanted":                {wanted, ours(func(l *live) { l.mark.Epoch = "e0" }), update},
		"removed from the log since it was written":        {nil, ours(same), remove},
		"not ours, though wanted":                          {wanted, ours(func(l *live) { l.ours = false }), foreign},
		"not ours, and not wanted":                         {nil, ours(func(l *live) { l.ours = false }), foreign},
		"newer than our state, and not in it":              {nil, ours(func(l *live) { l.mark.Revision = 21 }), newer},
		"newer than our state, and in it":                  {wanted, ours(func(l *live) { l.mark.Revision = 21 }), newer},
		"of another epoch, and not in this one":            {nil, ours(func(l *live) { l.mark.Epoch = "e0" }), unsure},
		"without its mark, and not wanted":                 {nil, ours(func(l *live) { l.mark = mark{} }), unsure},
		"without its mark, and wanted":                     {wanted, ours(func(l *live) { l.mark = mark{} }), update},
		"marked with an epoch only, by hand":               {nil, ours(func(l *live) { l.mark = mark{Epoch: "e1"} }), unsure},
		"written at this very revision, and not in it now": {nil, ours(func(l *live) { l.mark.Revision = 20 }), remove},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decide(now, c.want, c.live); got != c.do {
				t.Errorf("%s, not %s", got, c.do)
			}
		})
	}
}

// Law 4: absence never deletes.
func TestNothingIsDeletedThatTheLogDidNotRemove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		epoch := rapid.SampledFrom([]string{"", "e0", "e1", "e2"})
		f := Fleet{Epoch: epoch.Draw(t, "epoch"), Revision: rapid.Uint64Max(3).Draw(t, "revision")}
		l := live{ours: rapid.Bool().Draw(t, "ours"), mark: mark{
			UID: rapid.SampledFrom([]string{"", "u"}).Draw(t, "uid"), Epoch: epoch.Draw(t, "its epoch"), Revision: rapid.Uint64Max(3).Draw(t, "its revision"),
		}}
		var w *want
		if rapid.Bool().Draw(t, "wanted") {
			w = &want{uid: "u"}
		}
		proven := w == nil && l.ours && l.mark.UID != "" && l.mark.Epoch == f.Epoch && l.mark.Revision <= f.Revision
		if got := decide(f, w, &l); (got == remove) != proven {
			t.Errorf("%s", got)
		}
	})
}

func TestWhatIsAddedBesideOursIsNoDrift(t *testing.T) {
	ours := map[string]any{"spec": map[string]any{"value": "fra"}, "conditions": []any{map[string]any{"type": "Joined", "status": "True"}}, "decisions": []any{map[string]any{"reason": "granted"}}}
	for name, c := range map[string]struct {
		have map[string]any
		ok   bool
	}{
		"the same":             {ours, true},
		"a field more":         {map[string]any{"spec": map[string]any{"value": "fra", "more": "x"}, "conditions": ours["conditions"], "decisions": ours["decisions"]}, true},
		"a condition more":     {map[string]any{"spec": ours["spec"], "decisions": ours["decisions"], "conditions": []any{map[string]any{"type": "Other"}, map[string]any{"type": "Joined", "status": "True"}}}, true},
		"another value":        {map[string]any{"spec": map[string]any{"value": "sin"}, "conditions": ours["conditions"], "decisions": ours["decisions"]}, false},
		"a condition less":     {map[string]any{"spec": ours["spec"], "decisions": ours["decisions"], "conditions": []any{}}, false},
		"a condition changed":  {map[string]any{"spec": ours["spec"], "decisions": ours["decisions"], "conditions": []any{map[string]any{"type": "Joined", "status": "False"}}}, false},
		"a decision more":      {map[string]any{"spec": ours["spec"], "conditions": ours["conditions"], "decisions": []any{map[string]any{"reason": "granted"}, map[string]any{}}}, false},
		"everything of a part": {map[string]any{"spec": ours["spec"]}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := holds(c.have, ours); got != c.ok {
				t.Errorf("holds: %v", got)
			}
		})
	}
}

func TestWhatAWatchTellsLateIsNoNews(t *testing.T) {
	p := &projection{lives: map[string]live{"fra": {uid: "u1", version: "120"}}}
	for name, c := range map[string]struct {
		object, uid, version string
		passed               bool
	}{
		"before": {"fra", "u1", "119", true}, "long before": {"fra", "u1", "99", true},
		"the same": {"fra", "u1", "120", false}, "after": {"fra", "u1", "121", false},
		"another of the name": {"fra", "u2", "99", false}, "a new one": {"iad", "u3", "99", false}, "a version that is no number": {"fra", "u1", "x", false},
	} {
		u := &unstructured.Unstructured{}
		u.SetName(c.object)
		u.SetUID(types.UID(c.uid))
		u.SetResourceVersion(c.version)
		if got := p.passed(u); got != c.passed {
			t.Errorf("%s: %v", name, got)
		}
	}
}
