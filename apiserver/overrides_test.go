package apiserver

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// shopWith is a bundle with more in its spec.
func shopWith(more string) []byte {
	return []byte(`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"shop"},"spec":{` + more +
		`,"manifests":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2}}]}}`)
}

func TestOverridesAreKeptAsTheyWereApplied(t *testing.T) {
	l := start(t, nil)
	body := shopWith(`"overrides":[{"patches":[{"target":{"kind":"Deployment"},"merge":{"spec":{"replicas":"${cluster.labels[\"n\"]}","paused":null}}},
		{"target":{"kind":"Deployment"},"json":[{"op":"add","path":"/spec/paused","value":true}]}]}]`)
	out, err := client(t, l.local(), "bundles").Patch(t.Context(), "shop", types.ApplyYAMLPatchType, body, metav1.PatchOptions{FieldManager: "t"})
	if err != nil {
		t.Fatal(err)
	}
	overrides, _, _ := unstructured.NestedSlice(out.Object, "spec", "overrides")
	want := []any{map[string]any{"patches": []any{
		map[string]any{"target": map[string]any{"kind": "Deployment"}, "merge": map[string]any{"spec": map[string]any{"replicas": `${cluster.labels["n"]}`, "paused": nil}}},
		map[string]any{"target": map[string]any{"kind": "Deployment"}, "json": []any{map[string]any{"op": "add", "path": "/spec/paused", "value": true}}},
	}}}
	if diff := cmp.Diff(want, overrides); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCanBeTrueOfNoClusterIsRefusedWithItsField(t *testing.T) {
	l := start(t, nil)
	for more, want := range map[string]string{
		`"overrides":[{"replicas":[{"target":{"kind":"Pod"},"count":1}]}]`:                          "spec.overrides[0].replicas[0].target",
		`"overrides":[{"images":[{"registry":"${cluster.nane}"}]}]`:                                 "undefined field 'nane'",
		`"division":[{"target":{"kind":"Deployment","name":"other"}}]`:                              "spec.division[0].target",
		`"placement":{"expression":"cluster.region"}`:                                               "spec.placement.expression",
		`"placement":{"clusterSelector":{},"spreadConstraints":[{"topologyKey":"a","maxSkew":-1}]}`: "spec.placement.spreadConstraints[0].maxSkew",
	} {
		_, err := client(t, l.local(), "bundles").Patch(t.Context(), "shop", types.ApplyYAMLPatchType, shopWith(more), metav1.PatchOptions{FieldManager: "t"})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", more, err, want)
		}
	}
}
