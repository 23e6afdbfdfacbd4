package main

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func rolloutNamed(name, revision string, generation int64, phase v1alpha1.RolloutPhase, undoes string) v1alpha1.Rollout {
	return v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.RolloutSpec{Bundle: "shop", BundleUID: "u", Revision: revision, Generation: generation, Undoes: undoes},
		Status:     v1alpha1.RolloutStatus{Phase: phase, Stopped: "it fails in fra"},
	}
}

func TestRollbackAfterTheFleetWentBackByItself(t *testing.T) {
	all := []v1alpha1.Rollout{
		rolloutNamed("shop-1", "shop-1", 1, v1alpha1.RolloutComplete, ""),
		rolloutNamed("shop-2", "shop-2", 2, v1alpha1.RolloutComplete, ""),
		rolloutNamed("shop-3", "shop-3", 3, v1alpha1.RolloutRolledBack, ""),
		rolloutNamed("shop-2.2", "shop-2", 2, v1alpha1.RolloutComplete, "shop-3"),
	}
	for _, phase := range []v1alpha1.RolloutPhase{v1alpha1.RolloutPending, v1alpha1.RolloutRunning, v1alpha1.RolloutPaused, v1alpha1.RolloutComplete} {
		all[3].Status.Phase = phase
		if got := lastGood(all, &all[3]); got != "shop-2" {
			t.Errorf("%s: the bundle is to say what runs, and not %q", phase, got)
		}
	}
	if got := lastGood(all, &all[2]); got != "shop-2" {
		t.Errorf("what was good before shop-3 is %q", got)
	}
	all[3].Status.Phase = v1alpha1.RolloutFailed
	if got := lastGood(all, &all[3]); got != "shop-1" {
		t.Errorf("shop-2 fails, too, and %q is said to be good", got)
	}
	text := undoneText(&all[3], all)
	for _, want := range []string{"shop-3 failed: it fails in fra", "hanse rollout rollback shop", "hanse rollout resume shop-3"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said: %s", want, text)
		}
	}
	if text := undoneText(&all[2], all); text != "" {
		t.Errorf("of one that takes nothing back it is said: %s", text)
	}
}

func TestWhatRanEverywhereIsGoodToGoBackTo(t *testing.T) {
	at := metav1.Unix(9, 0)
	then := metav1.Unix(5, 0)
	settled := v1alpha1.WaveStatus{Granted: &then, Healthy: &then, Settled: &then}
	for name, tt := range map[string]struct {
		last v1alpha1.WaveStatus
		good bool
	}{
		"settled":               {settled, true},
		"soaked":                {v1alpha1.WaveStatus{Granted: &then, Healthy: &then, Released: &at}, true},
		"was not healthy":       {v1alpha1.WaveStatus{Granted: &then, Released: &at}, false},
		"was given up as lost":  {v1alpha1.WaveStatus{Granted: &then, Healthy: &then, Released: &then}, false},
		"failed":                {v1alpha1.WaveStatus{Granted: &then, Healthy: &then, Failing: &then, Released: &at}, false},
		"had not been its turn": {v1alpha1.WaveStatus{}, false},
	} {
		all := []v1alpha1.Rollout{
			rolloutNamed("shop-1", "shop-1", 1, v1alpha1.RolloutSuperseded, ""),
			rolloutNamed("shop-2", "shop-2", 2, v1alpha1.RolloutFailed, ""),
		}
		all[0].Status.Ended, all[0].Status.Waves = &at, []v1alpha1.WaveStatus{settled, tt.last}
		if got := lastGood(all, &all[1]); (got == "shop-1") != tt.good {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTheNewestRolloutOfABundle(t *testing.T) {
	at := func(second int64, r v1alpha1.Rollout) v1alpha1.Rollout {
		r.CreationTimestamp = metav1.Unix(second, 0)
		return r
	}
	first, second := rolloutNamed("shop-2", "shop-2", 2, v1alpha1.RolloutComplete, ""), rolloutNamed("shop-10", "shop-10", 10, v1alpha1.RolloutComplete, "")
	runs := rolloutNamed("shop-1", "shop-1", 1, v1alpha1.RolloutRunning, "")
	for _, test := range []struct {
		what string
		all  []v1alpha1.Rollout
		want string
	}{
		{"of another second", []v1alpha1.Rollout{at(7, first), at(6, second)}, "shop-2"},
		{"of the same second", []v1alpha1.Rollout{at(7, first), at(7, second)}, "shop-10"},
		{"of the same second, told the other way round", []v1alpha1.Rollout{at(7, second), at(7, first)}, "shop-10"},
		{"of which one runs", []v1alpha1.Rollout{at(7, second), at(5, runs)}, "shop-1"},
	} {
		if got := newestOf(test.all).Name; got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
	}
	if newestOf(nil) != nil {
		t.Error("none has a newest")
	}
}

// What suspends a bundle, or labels it, leaves what it says as it was: to go back before that would change nothing.
func TestWhatABundleSaidBeforeIsAnotherSpec(t *testing.T) {
	change := func(name, revision string, verb v1alpha1.ChangeVerb) v1alpha1.Change {
		c := v1alpha1.Change{Spec: v1alpha1.ChangeSpec{Resource: "bundles", Name: "shop", Verb: verb, UID: "u", Since: 800}}
		c.Name, c.ResourceVersion = name, revision
		return c
	}
	made, moved := change("made", "810", v1alpha1.ChangeCreate), change("moved", "815", v1alpha1.ChangeUpdate)
	labelled, suspended := change("labelled", "817", v1alpha1.ChangeUpdate), change("suspended", "819", v1alpha1.ChangeUpdate)
	before := map[string]map[string]any{"moved": bundleIn("fra", "810"), "labelled": bundleIn("iad", "815"), "suspended": bundleIn("iad", "817")}
	for name, tt := range map[string]struct {
		changes []v1alpha1.Change
		want    string
	}{
		"its last change was of the spec": {[]v1alpha1.Change{made, moved}, "810"},
		"it was only suspended since":     {[]v1alpha1.Change{made, moved, labelled, suspended}, "810"},
		"nothing but that is remembered":  {[]v1alpha1.Change{moved, labelled, suspended}, ""},
		"it was made so":                  {[]v1alpha1.Change{change("made", "815", v1alpha1.ChangeCreate), labelled}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := askedOf(t, func(w http.ResponseWriter, r *http.Request) {
				switch path := strings.TrimPrefix(r.URL.Path, apiPath); {
				case path == "changes":
					list := v1alpha1.ChangeList{Items: tt.changes}
					list.ResourceVersion = "820"
					answer(w, 200, list)
				case strings.HasSuffix(path, "/before"):
					name := strings.TrimSuffix(strings.TrimPrefix(path, "changes/"), "/before")
					answer(w, 200, map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"before": before[name]}})
				default:
					answer(w, 200, bundleIn("iad", "819"))
				}
			})
			want := 1
			if tt.want != "" {
				want = 2
			}
			hints := f.saidBefore(t.Context(), v1alpha1.RolledOutOf("shop"))
			if len(hints) != want || want == 2 && hints[1].command != "rollback bundle/shop --to "+tt.want {
				t.Errorf("%+v", hints)
			}
		})
	}
}
