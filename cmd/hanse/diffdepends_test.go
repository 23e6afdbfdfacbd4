package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// What bundles that come before bring is there when the bundle comes: those in the same files as they are to be, the others as they are in the
// fleet, those of which these depend too, and each only where it is placed.
func TestWhatComesBeforeABundleIsThere(t *testing.T) {
	bundle := func(name, namespace string, clusters []string, dependsOn ...string) v1alpha1.Bundle {
		b := v1alpha1.Bundle{TypeMeta: v1alpha1.TypeOf("Bundle")}
		b.Name, b.Spec.Placement.Clusters, b.Spec.DependsOn = name, clusters, dependsOn
		b.Spec.Manifests = []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + namespace + `"}}`)}}
		return b
	}
	given := func(b v1alpha1.Bundle) change {
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		ch := change{kind: mustKind("Bundle"), name: b.Name}
		if err := json.Unmarshal(text, &ch.object); err != nil {
			t.Fatal(err)
		}
		return ch
	}
	f := newFleetWith(both[0], v1alpha1.Rollout{})
	f.objects["bundles/base"] = bundle("base", "as-it-was", []string{"fra"})
	f.objects["bundles/ground"] = bundle("ground", "ground", []string{"fra"}, "shop")
	f.objects["bundles/beside"] = bundle("beside", "beside", []string{"fra", "iad"})
	d := differ{applier: applier{fleet: askedOf(t, f.ServeHTTP)}, given: []change{given(bundle("base", "base", []string{"fra", "iad"}, "ground", "nowhere"))}}
	var in scene
	for _, name := range []string{"fra", "iad"} {
		c := v1alpha1.Cluster{}
		c.Name = name
		in.ground.Clusters = append(in.ground.Clusters, c)
	}
	priors, err := d.priors(t.Context(), bundle("shop", "shop", nil, "base"), in)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, cluster := range []string{"fra", "iad"} {
		for _, o := range broughtTo(cluster, priors) {
			got[cluster] = append(got[cluster], plan.Name(plan.Ref(o)))
		}
	}
	if diff := cmp.Diff(map[string][]string{"fra": {"namespace base", "namespace ground"}, "iad": {"namespace base"}}, got); diff != "" {
		t.Error(diff)
	}
}
