package compare_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/compare"
)

func object(t *testing.T, text string) unstructured.Unstructured {
	t.Helper()
	var o unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFieldsAreNamedAsPeopleNameThem(t *testing.T) {
	cases := map[string]struct {
		before, after string
		want          []compare.Field
	}{
		"the same": {"{a: 1, b: [x]}", "{b: [x], a: 1}", nil},
		"an item by its name, wherever it stands": {
			"spec: {containers: [{name: web, image: 'shop:1.4'}, {name: log, image: l}]}",
			"spec: {containers: [{name: web, image: 'shop:1.5'}, {name: new, image: m}, {name: log, image: l}]}",
			[]compare.Field{
				{Path: "spec.containers[new]", After: map[string]any{"name": "new", "image": "m"}},
				{Path: "spec.containers[web].image", Before: "shop:1.4", After: "shop:1.5"},
			}},
		"the order of items": {
			"{spec: {init: [{name: a}, {name: b}]}}", "{spec: {init: [{name: b}, {name: a}]}}",
			[]compare.Field{
				{Path: "spec.init[0].name", Before: "a", After: "b"}, {Path: "spec.init[1].name", Before: "b", After: "a"},
			}},
		"a list of words is one value": {"args: [a, b]", "args: [a, c]", []compare.Field{{Path: "args", Before: []any{"a", "b"}, After: []any{"a", "c"}}}},
		"names that are no words":      {"data: {app.conf: x}", "data: {app.conf: z}", []compare.Field{{Path: "data[app.conf]", Before: "x", After: "z"}}},
		"a whole branch that comes":    {"spec: {}", "spec: {limits: {cpu: 1}}", []compare.Field{{Path: "spec.limits", After: map[string]any{"cpu": float64(1)}}}},
		"a value of another type":      {"spec: {port: 80}", "spec: {port: http}", []compare.Field{{Path: "spec.port", Before: float64(80), After: "http"}}},
		"a field that goes":            {"spec: {a: 1, b: 2}", "spec: {a: 1}", []compare.Field{{Path: "spec.b", Before: float64(2)}}},
		"what the cluster and hanse wrote": {
			"{metadata: {uid: u, resourceVersion: '1', managedFields: [], labels: {fleet.hanse.dev/bundle: shop}}, status: {ready: 1}}",
			"{metadata: {generation: 2, annotations: {kubectl.kubernetes.io/last-applied-configuration: x}}, status: {ready: 2}}", nil},
		"a secret": {
			"{kind: Secret, data: {a: eA==, b: eQ==}, type: x}", "{kind: Secret, data: {a: eg==, b: eQ==}, type: z}",
			[]compare.Field{{Path: "data.a", Before: "***", After: "***", Hidden: true}, {Path: "type", Before: "x", After: "z"}}},
		"a secret's first value": {
			"{kind: Secret}", "{kind: Secret, stringData: {a.b: x}}", []compare.Field{{Path: "stringData", After: "***", Hidden: true}}},
	}
	for name, c := range cases {
		if diff := cmp.Diff(c.want, compare.Fields(object(t, c.before), object(t, c.after))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestObjectsAreFoundWhateverTheirVersion(t *testing.T) {
	a := object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: default}, spec: {replicas: 2}}")
	b := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}")
	c := object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
	newer := object(t, "{apiVersion: apps/v2, kind: Deployment, metadata: {name: web, namespace: default}, spec: {replicas: 2}}")
	got := compare.Objects([]unstructured.Unstructured{a, b}, []unstructured.Unstructured{newer, c})
	var said []string
	for _, o := range got {
		said = append(said, string(o.Fate)+" "+o.Kind)
	}
	if diff := cmp.Diff([]string{"Changed Deployment", "Added Namespace", "Deleted ConfigMap"}, said); diff != "" {
		t.Error(diff)
	}
}

func TestFieldsAreNamedInASentence(t *testing.T) {
	fields := []compare.Field{{Path: "a"}, {Path: "b.c"}, {Path: "d"}, {Path: "e"}, {Path: "f"}}
	for n, want := range map[int]string{1: "a", 3: "a, b.c, d", 5: "a, b.c, d, and 2 more"} {
		if got := compare.Paths(fields[:n]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
