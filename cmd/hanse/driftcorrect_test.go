package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
)

func TestOnlyObjectsThatWereNamedAreCorrected(t *testing.T) {
	named := func(namespace, name string) unstructured.Unstructured {
		return unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": namespace, "name": name}}}
	}
	ref := func(namespace, name string) v1alpha1.ObjectRef {
		return v1alpha1.ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: name}
	}
	steps := []step{
		{cluster: "fra", after: []unstructured.Unstructured{named("a", "one"), named("b", "one"), named("a", "two")}},
		{cluster: "iad", after: []unstructured.Unstructured{named("a", "one"), named("a", "three")}},
	}
	for name, c := range map[string]struct {
		names []string
		want  []v1alpha1.ObjectRef
	}{
		"none: all are meant":      {nil, nil},
		"of a name":                {[]string{"configmap/one"}, []v1alpha1.ObjectRef{ref("a", "one"), ref("b", "one")}},
		"of a namespace":           {[]string{"configmap/b/one"}, []v1alpha1.ObjectRef{ref("b", "one")}},
		"that one cluster has":     {[]string{"configmap/three", "configmap/two"}, []v1alpha1.ObjectRef{ref("a", "three"), ref("a", "two")}},
		"that were named together": {[]string{"configmap/a/one", "configmap/one"}, []v1alpha1.ObjectRef{ref("a", "one"), ref("b", "one")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := objectsIn(steps, c.names)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%v; %s", err, diff)
			}
		})
	}
	for _, wrong := range []string{"one", "configmap/four"} {
		if got, err := objectsIn(steps, []string{wrong}); err == nil {
			t.Errorf("%s: %v", wrong, got)
		}
	}
	p := prospect{Objects: []compare.Object{{ObjectRef: ref("a", "one")}, {ObjectRef: ref("a", "two")}}, Refused: []refusal{{ObjectRef: ref("b", "one")}}}
	p.only([]v1alpha1.ObjectRef{ref("a", "two")})
	if len(p.Objects) != 1 || p.Objects[0].Name != "two" || len(p.Refused) != 0 {
		t.Errorf("left: %+v", p)
	}
}

func TestAnOrderIsNoWiderThanWhatWasShown(t *testing.T) {
	ref := func(name string) v1alpha1.ObjectRef {
		return v1alpha1.ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Name: name}
	}
	differs := func(cluster string, names ...string) prospect {
		p := prospect{Cluster: cluster}
		for _, name := range names {
			p.Objects = append(p.Objects, compare.Object{ObjectRef: ref(name)})
		}
		return p
	}
	refused := prospect{Cluster: "ams", Refused: []refusal{{ObjectRef: ref("one")}}}
	in := differing([]prospect{refused, differs("fra", "one"), differs("iad", "one", "two"), differs("sin", "one")})
	want := []v1alpha1.CorrectionIn{
		{Clusters: []string{"fra", "sin"}, Objects: []v1alpha1.ObjectRef{ref("one")}},
		{Clusters: []string{"iad"}, Objects: []v1alpha1.ObjectRef{ref("one"), ref("two")}},
	}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}

	cluster := func(name, region string) v1alpha1.Cluster {
		c := v1alpha1.Cluster{}
		c.Name, c.Labels = name, map[string]string{"region": region, "rack": name[:1]}
		return c
	}
	all := []v1alpha1.Cluster{cluster("ams", "eu"), cluster("fra", "eu"), cluster("iad", "us"), cluster("sin", "")}
	for name, c := range map[string]struct {
		in   []v1alpha1.CorrectionIn
		own  string
		want []string
	}{
		"three domains":                     {in, "", []string{"clusters of no region", "eu", "us"}},
		"two clusters of one domain":        {[]v1alpha1.CorrectionIn{{Clusters: []string{"fra", "ams"}}}, "", []string{"eu"}},
		"that differ in the bundle's own":   {[]v1alpha1.CorrectionIn{{Clusters: []string{"fra", "ams"}}}, "rack", []string{"eu a", "eu f"}},
		"a bundle with the fleet's own":     {[]v1alpha1.CorrectionIn{{Clusters: []string{"fra", "ams"}}}, "region", []string{"eu"}},
		"a label of the bundle's on nobody": {[]v1alpha1.CorrectionIn{{Clusters: []string{"fra", "ams"}}}, "row", []string{"eu of no row"}},
		"a cluster that is not there":       {[]v1alpha1.CorrectionIn{{Clusters: []string{"cdg"}}}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, domainsOf(v1alpha1.Correction{Number: 1, In: c.in}, all, "region", c.own)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The leader writes the bundle's status between its reading and the order.
func TestAnOrderIsGivenAgainWhenOnlyTheStatusWasWritten(t *testing.T) {
	seen := func(revision string) map[string]any { return bundleIn("fra", revision) }
	for name, tt := range map[string]struct {
		meanwhile func(map[string]any) map[string]any
		refused   string
	}{
		"nobody does anything": {func(map[string]any) map[string]any { return seen("820") }, ""},
		"the leader writes the status": {func(map[string]any) map[string]any {
			b := seen("821")
			b["status"] = map[string]any{"clusters": 1}
			return b
		}, ""},
		"somebody changes it": {func(map[string]any) map[string]any {
			b := seen("821")
			b["metadata"].(map[string]any)["generation"] = 2
			return b
		}, "in between, and nothing was written"},
		"somebody orders another thing": {func(map[string]any) map[string]any {
			b := seen("821")
			b["metadata"].(map[string]any)["annotations"] = map[string]any{v1alpha1.AnnotationCorrect: `{"number":1}`}
			return b
		}, "in between, and nothing was written"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shop{now: seen("820"), meanwhile: tt.meanwhile}
			d := &drifting{differ: differ{c: cli.NewContext(&cli.App{ErrWriter: io.Discard}, nil, nil), applier: applier{fleet: askedOf(t, s.ServeHTTP)}}}
			b := v1alpha1.Bundle{}
			if err := fromMap(seen("820"), &b); err != nil {
				t.Fatal(err)
			}
			err := d.order(t.Context(), b, v1alpha1.Correction{Number: 2})
			if (err == nil) != (tt.refused == "") || err != nil && !strings.Contains(err.Error(), tt.refused) || (s.written == 1) != (err == nil) {
				t.Errorf("%v, after %d writes", err, s.written)
			}
		})
	}
}
