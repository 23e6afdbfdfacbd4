package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/render"
)

func object(t *testing.T, text string) (o unstructured.Unstructured) {
	t.Helper()
	if text == "" {
		return o
	}
	if err := json.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOnlyWhatCanBeTakenOverIs(t *testing.T) {
	const settings = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"a":"x"}}`
	with := func(value string) string { return strings.Replace(settings, `"x"`, `"`+value+`"`, 1) }
	secret := func(text string) string { return strings.Replace(text, "ConfigMap", "Secret", 1) }
	for name, c := range map[string]struct{ manifest, live, patch, note string }{
		"a value":                     {settings, with("y"), `{"data":{"a":"y"}}`, ""},
		"a shell's variable":          {settings, with("${HOME}"), `{"data":{"a":"${HOME}"}}`, ""},
		"nothing":                     {settings, settings, "", ""},
		"what is gone":                {settings, "", "", "it is not there; if it is to stay away, take it out of the bundle"},
		"a Secret's value":            {secret(settings), secret(with("y")), "", "values of a Secret are not copied into the fleet's log"},
		"what would be an expression": {settings, with("${cluster.name}"), "", "what is there would be read as an expression; write the override by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			manifest := object(t, c.manifest)
			got, note := takeOne(manifest, object(t, c.live), manifest, false)
			patch := ""
			if got.patch.Merge != nil {
				patch = string(got.patch.Merge.Raw)
			}
			if patch != c.patch || note != c.note {
				t.Errorf("%s, %q", patch, note)
			}
		})
	}
}

// What somebody changed of one container stays; all else of it, and of the others, goes on with the bundle.
func TestWhatDidNotChangeStaysTheBundles(t *testing.T) {
	web := func(image, cpu, log string) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"template":{"spec":{"containers":[`+
			`%s{"name":"web","image":%q,"env":[{"name":"A","value":"1"}],"resources":{"limits":{"cpu":%q}}}]}}}}`, log, image, cpu)
	}
	const log = `{"name":"log","image":"log:1"},`
	granted := object(t, web("web:1", "1", ""))
	for name, c := range map[string]struct{ live, later, want string }{
		"a field of a container":                        {web("web:1", "2", ""), web("web:2", "1", ""), web("web:2", "2", "")},
		"and the bundle gets a container":               {web("web:1", "2", ""), web("web:2", "1", log), web("web:2", "2", log)},
		"an image that the bundle changes again itself": {web("web:hot", "1", ""), web("web:2", "3", ""), web("web:hot", "3", "")},
		"a variable of a container":                     {strings.Replace(web("web:1", "1", ""), `"value":"1"`, `"value":"2"`, 1), web("web:2", "1", ""), strings.Replace(web("web:2", "1", ""), `"value":"1"`, `"value":"2"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			got, note := takeOne(granted, object(t, c.live), granted, false)
			if note != "" {
				t.Fatal(note)
			}
			overrides := overridesOf(map[string][]taken{"fra": {got}})
			content := v1alpha1.BundleContent{Manifests: []runtime.RawExtension{{Raw: []byte(c.later)}}, Overrides: overrides}
			made, err := render.Render(content, &v1alpha1.Frozen{Overrides: []int32{0}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, c.want).Object, made[0].Object); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAListOfWhichNobodyKnowsHowItMergesIsNotTakenWhole(t *testing.T) {
	const gateway = `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway","metadata":{"name":"web"},"spec":{"listeners":[{"name":"http","port":80,"protocol":"HTTP"}]}}`
	granted := object(t, gateway)
	live := object(t, strings.Replace(gateway, "80", "81", 1))
	got, note := takeOne(granted, live, granted, false)
	if len(got.paths) > 0 || !strings.HasPrefix(note, "/spec/listeners/0/port is in a list") {
		t.Errorf("%+v, %q", got, note)
	}
	got, note = takeOne(granted, live, granted, true)
	if diff := cmp.Diff([]string{"/spec/listeners/0/port"}, got.paths); diff != "" || note != "" {
		t.Errorf("ignored: %s, %q", diff, note)
	}
}

func TestAPartOfADivisionIsNotTakenOver(t *testing.T) {
	const web = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"a":"x"}},"spec":{"replicas":2}}`
	const job = `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"sweep"},"spec":{"completions":9,"parallelism":3}}`
	const why = " is its part of spec.division, which is set after all overrides; change spec.division or its weights, or --ignore it"
	changed := func(text, from, to string) string { return strings.Replace(text, from, to, 1) }
	for name, c := range map[string]struct {
		divided, granted, live, note string
		paths                        []string
	}{
		"its replicas":         {"web", web, changed(web, `:2`, `:5`), "/spec/replicas" + why, nil},
		"and a label":          {"web", web, changed(changed(web, `:2`, `:5`), `"x"`, `"y"`), "/spec/replicas" + why, []string{"/metadata/labels/a"}},
		"its part is there":    {"web", web, changed(web, `"x"`, `"y"`), "", []string{"/metadata/labels/a"}},
		"another is divided":   {"other", web, changed(web, `:2`, `:5`), "", []string{"/spec/replicas"}},
		"a Job's pods at once": {"sweep", job, changed(job, `:3`, `:1`), "/spec/parallelism" + why, nil},
	} {
		t.Run(name, func(t *testing.T) {
			granted := object(t, c.granted)
			content := v1alpha1.BundleContent{Manifests: []runtime.RawExtension{{Raw: []byte(c.granted)}}, Division: []v1alpha1.Division{{Target: v1alpha1.Target{Kind: granted.GetKind(), Name: c.divided}}}}
			live, note := withParts(content, object(t, c.live), granted)
			got, other := takeOne(granted, live, granted, false)
			if note != c.note || other != "" {
				t.Errorf("%q, %q", note, other)
			}
			if diff := cmp.Diff(c.paths, got.paths); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClustersThatHaveTheSameShareAnOverride(t *testing.T) {
	web := v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	merge := func(text string) v1alpha1.Patch {
		return v1alpha1.Patch{Merge: &runtime.RawExtension{Raw: []byte(text)}}
	}
	two := taken{ref: web, patch: merge(`{"spec":{"replicas":2}}`), paths: []string{"/spec/replicas"}}
	three := taken{ref: web, patch: merge(`{"spec":{"replicas":3}}`), paths: []string{"/spec/replicas", "/spec/paused"}}
	found := map[string][]taken{"fra": {two}, "iad": {three}, "sin": {two}}
	var clusters [][]string
	for _, o := range overridesOf(found) {
		clusters = append(clusters, o.Clusters)
	}
	if diff := cmp.Diff([][]string{{"fra", "sin"}, {"iad"}}, clusters); diff != "" {
		t.Error(diff)
	}
	want := []v1alpha1.IgnoredFields{{Target: v1alpha1.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}, Paths: []string{"/spec/replicas", "/spec/paused"}}}
	if diff := cmp.Diff(want, ignoring(found)); diff != "" {
		t.Error(diff)
	}
}

func TestObjectsAreNamedByKindAndName(t *testing.T) {
	web := v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	for name, want := range map[string]bool{"deployment/web": true, "Deployment/shop/web": true, "deployment/other/web": false, "service/web": false} {
		wanted, err := wantedObjects([]string{name})
		if err != nil || wanted(web) != want {
			t.Errorf("%s: %v, %v", name, !want, err)
		}
	}
	if _, err := wantedObjects([]string{"web"}); err == nil {
		t.Error("a bare name is taken")
	}
}
