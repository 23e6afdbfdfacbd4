package render_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/render"
)

// dividedJob is a bundle that divides one Job.
func dividedJob(t *testing.T, spec, overrides string) (c v1alpha1.BundleContent) {
	t.Helper()
	text := "manifests: [{apiVersion: batch/v1, kind: Job, metadata: {name: sweep}, spec: " + spec + "}]\n" +
		"division: [{target: {kind: Job, name: sweep}}]\noverrides: " + overrides
	if err := yaml.UnmarshalStrict([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAJobIsDividedByWhatItIsToDo(t *testing.T) {
	for name, test := range map[string]struct {
		spec, overrides string
		whole           int32
		parts           []int32
		want            []any // completions and parallelism, of each part
	}{
		"completions, all at once":   {"{completions: 9, parallelism: 9}", "", 9, []int32{3, 4, 2}, []any{int64(3), int64(3), int64(4), int64(4), int64(2), int64(2)}},
		"a few at once":              {"{completions: 90, parallelism: 9}", "", 90, []int32{30, 60, 1}, []any{int64(30), int64(3), int64(60), int64(6), int64(1), int64(1)}},
		"one after the other":        {"{completions: 9}", "", 9, []int32{3, 6}, []any{int64(3), int64(1), int64(6), int64(1)}},
		"a part of nothing":          {"{completions: 9, parallelism: 9}", "", 9, []int32{0, 9}, []any{int64(0), int64(0), int64(9), int64(9)}},
		"nothing to do":              {"{completions: 0, parallelism: 9}", "", 0, []int32{0, 0}, []any{int64(0), int64(0), int64(0), int64(0)}},
		"a queue that says when":     {"{parallelism: 9}", "", 9, []int32{4, 5}, []any{nil, int64(4), nil, int64(5)}},
		"completions that are null":  {"{parallelism: 9, completions: null}", "", 9, []int32{4}, []any{nil, int64(4)}},
		"the part has the last word": {"{completions: 9, parallelism: 9}", "[{patches: [{target: {kind: Job}, merge: {spec: {completions: 5, parallelism: 1}}}]}]", 9, []int32{3}, []any{int64(3), int64(3)}},
	} {
		t.Run(name, func(t *testing.T) {
			c := dividedJob(t, test.spec, test.overrides)
			if errs := render.Check(c); len(errs) > 0 {
				t.Fatal(errs)
			}
			if got := render.Wholes(c); !cmp.Equal(got, []int32{test.whole}) {
				t.Errorf("divided are %v, want %d", got, test.whole)
			}
			var got []any
			for _, part := range test.parts {
				frozen := &v1alpha1.Frozen{Divided: []int32{part}}
				if len(c.Overrides) > 0 {
					frozen.Overrides = []int32{0}
				}
				objects, err := render.Render(c, frozen)
				if err != nil {
					t.Fatal(err)
				}
				for _, field := range []string{"completions", "parallelism"} {
					n, _, _ := unstructured.NestedFieldNoCopy(objects[0].Object, "spec", field)
					got = append(got, n)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatCannotBeDividedRightIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ spec, overrides, want string }{
		"an Indexed Job":                     {"{completions: 9, parallelism: 9, completionMode: Indexed}", "", "spec.division[0].target: Invalid value: \"Job sweep\": is an Indexed Job"},
		"one that an override makes Indexed": {"{completions: 9}", "[{patches: [{target: {kind: Job}, merge: {spec: {completionMode: Indexed}}}]}]", "is an Indexed Job"},
		"completions of an override":         {"{parallelism: 9}", "[{patches: [{target: {kind: Job}, merge: {spec: {completions: 9}}}]}]", "say completions in the manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dividedJob(t, test.spec, test.overrides)
			if errs := render.Check(c); len(errs) != 1 || !strings.Contains(errs[0].Error(), test.want) {
				t.Errorf("%v", errs)
			}
			frozen := &v1alpha1.Frozen{Divided: []int32{3}}
			if len(c.Overrides) > 0 {
				frozen.Overrides = []int32{0}
			}
			if _, err := render.Render(c, frozen); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("rendered: %v", err)
			}
		})
	}
}
