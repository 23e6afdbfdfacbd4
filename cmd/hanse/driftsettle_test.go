package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
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
			got, note := takeOne(plan.Ref(manifest), manifest, object(t, c.live), manifest)
			if got.patch != c.patch || note != c.note {
				t.Errorf("%s, %q", got.patch, note)
			}
		})
	}
}

func TestClustersThatHaveTheSameShareAnOverride(t *testing.T) {
	web := v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	two := taken{ref: web, patch: `{"spec":{"replicas":2}}`, paths: []string{"/spec/replicas"}}
	three := taken{ref: web, patch: `{"spec":{"replicas":3}}`, paths: []string{"/spec/replicas", "/spec/paused"}}
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
