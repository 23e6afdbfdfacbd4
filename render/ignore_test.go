package render_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/render"
)

func TestWhatOthersOwnIsLeftOutWhateverTheBundleSays(t *testing.T) {
	c := content(t, `- replicas: [{target: {kind: Deployment}, count: 9}]`)
	c.Ignore = []v1alpha1.IgnoredFields{
		{Target: v1alpha1.Target{Kind: "Deployment", Name: "web"}, Paths: []string{"/spec/replicas", "/spec/template/spec/containers/0/env", "/spec/paused"}},
		{Target: v1alpha1.Target{Kind: "ConfigMap"}, Paths: []string{"/data/colour"}},
	}
	objects, err := render.Render(c, render.Freeze(c, fra(), v1alpha1.ClusterMetricsStatus{}))
	if err != nil {
		t.Fatal(err)
	}
	spec := objects[0].Object["spec"].(map[string]any)
	web := spec["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	if _, there := spec["replicas"]; there || web["env"] != nil || web["image"] == nil {
		t.Errorf("the Deployment is %v", spec)
	}
	data, _, _ := unstructured.NestedStringMap(objects[1].Object, "data")
	if len(data) != 1 || data["greeting"] != "hello" {
		t.Errorf("the ConfigMap has %v", data)
	}
	c.Overrides = nil
	plain, err := render.Render(c, nil)
	if _, there, _ := unstructured.NestedFieldNoCopy(plain[0].Object, "spec", "replicas"); err != nil || there {
		t.Errorf("without overrides: %v, %v", plain[0].Object, err)
	}
	if errs := render.Check(c); len(errs) > 0 {
		t.Error(errs)
	}
	c.Ignore[1].Target.Name = "other"
	if errs := render.Check(c); len(errs) != 1 || !strings.Contains(errs[0].Error(), `spec.ignore[1].target: Invalid value: "ConfigMap other": the bundle has no such object`) {
		t.Error(errs)
	}
}

func TestAnIgnoredItemOfAListIsTheOneThatItWas(t *testing.T) {
	for name, w := range map[string]struct {
		rules [][]string
		left  string
	}{
		"one after the other":         {[][]string{{"/spec/l/0", "/spec/l/1"}}, "[two three]"},
		"the other way round":         {[][]string{{"/spec/l/1", "/spec/l/0"}}, "[two three]"},
		"in several rules":            {[][]string{{"/spec/l/0"}, {"/spec/l/2"}, {"/spec/l/0"}}, "[one three]"},
		"numbers, not letters":        {[][]string{{"/spec/l/2", "/spec/l/10"}}, "[zero one three]"},
		"inside what is left out":     {[][]string{{"/spec/l/3", "/spec/l/3/x", "/spec/m/0", "/spec/m/0/x"}}, "[zero one two]"},
		"what is not there":           {[][]string{{"/spec/l/9", "/spec/l/-", "/spec/none"}}, "[zero one two three]"},
		"what is beside is as it was": {[][]string{{"/spec/m/0/x"}}, "[zero one two three]"},
	} {
		t.Run(name, func(t *testing.T) {
			c := v1alpha1.BundleContent{Manifests: []runtime.RawExtension{{Raw: []byte(
				`{"apiVersion":"v1","kind":"Thing","metadata":{"name":"a"},"spec":{"l":["zero","one","two","three"],"m":[{"x":"1"},{"x":"2"}]}}`)}}}
			for _, paths := range w.rules {
				c.Ignore = append(c.Ignore, v1alpha1.IgnoredFields{Target: v1alpha1.Target{Kind: "Thing"}, Paths: paths})
			}
			objects, err := render.Render(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			spec := objects[0].Object["spec"].(map[string]any)
			if left := fmt.Sprint(spec["l"]); left != w.left {
				t.Errorf("%s is left", left)
			}
			if m := spec["m"].([]any); m[len(m)-1].(map[string]any)["x"] != "2" {
				t.Errorf("beside it: %v", m)
			}
		})
	}
}
