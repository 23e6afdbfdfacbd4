package agent

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

func TestPeopleAreToldWhatHasChangedAboutABundle(t *testing.T) {
	settings := v1alpha1.ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	drift := func(at int64) *v1alpha1.Drift {
		return &v1alpha1.Drift{ObjectRef: settings, At: metav1.Unix(at, 0), Manager: "kubectl-edit"}
	}
	refused := []v1alpha1.Problem{{ObjectRef: settings, Reason: "Refused", Message: "no"}}
	one, two := v1alpha1.WorkStatus{Applied: "shop-1"}, v1alpha1.WorkStatus{Applied: "shop-2"}
	for name, c := range map[string]struct {
		before  *v1alpha1.WorkStatus
		now     v1alpha1.WorkStatus
		carried string
		want    string
	}{
		"nothing":                              {&one, one, "shop-1", ""},
		"a new revision":                       {&one, two, "shop-2", "Applied revision shop-2 is applied in this cluster"},
		"the first":                            {nil, one, "shop-1", "Applied revision shop-1 is applied in this cluster"},
		"the first, after a look":              {&v1alpha1.WorkStatus{}, one, "shop-1", "Applied revision shop-1 is applied in this cluster"},
		"what was applied before the start":    {nil, one, "", ""},
		"and is seen late":                     {&v1alpha1.WorkStatus{}, one, "", ""},
		"what an earlier bundle has left":      {&v1alpha1.WorkStatus{}, v1alpha1.WorkStatus{Applied: "shop-0"}, "", ""},
		"what was found again after a new one": {&v1alpha1.WorkStatus{}, one, "shop-2", ""},
		"put right": {&one, v1alpha1.WorkStatus{Applied: "shop-1", LastDrift: drift(5), DriftCorrected: 1}, "shop-1",
			"DriftCorrected configmap shop/settings was changed by kubectl-edit: it is put right"},
		"put right before": {&v1alpha1.WorkStatus{LastDrift: drift(5), DriftCorrected: 1}, v1alpha1.WorkStatus{LastDrift: drift(5), DriftCorrected: 1}, "", ""},
		"left so": {&one, v1alpha1.WorkStatus{Applied: "shop-1", LastDrift: drift(5), Drifted: 1}, "",
			"!Drifted configmap shop/settings was changed by kubectl-edit: it is left so, as the bundle says"},
		"refused":       {&one, v1alpha1.WorkStatus{Applied: "shop-1", Problems: refused}, "", "!Refused configmap shop/settings: no"},
		"still refused": {&v1alpha1.WorkStatus{Problems: refused}, v1alpha1.WorkStatus{Problems: refused}, "", ""},
	} {
		var words []string
		for _, e := range bundleEvents(c.before, reconcile.Report{Status: c.now, CarriedOut: c.carried}) {
			mark := ""
			if e.Warning {
				mark = "!"
			}
			words = append(words, mark+e.Reason+" "+e.Note)
		}
		if got := strings.Join(words, "; "); got != c.want {
			t.Errorf("%s: told %q", name, got)
		}
	}
}

func TestATurnIsToldWhenItLasts(t *testing.T) {
	now := time.Unix(1000, 0)
	s := steady[bool]{told: true}
	for i, step := range []struct {
		after time.Duration
		is    bool
		told  bool
	}{
		{0, false, false}, {steadyFor - 1, false, false}, {1, true, false}, // it came back in time
		{1, false, false}, {steadyFor, false, true}, {steadyFor, false, false},
		{1, true, false}, {steadyFor, true, true},
	} {
		now = now.Add(step.after)
		if _, told := s.see(step.is, now); told != step.told {
			t.Errorf("step %d: told %v", i, told)
		}
	}
}
