package v1alpha1

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
)

func TestWhatOverridesAndDivisionsMaySay(t *testing.T) {
	web := Target{Kind: "Deployment", Name: "web"}
	doc := func(text string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(text)} }
	patch := func(p Patch) func(*Bundle) {
		return func(b *Bundle) { b.Spec.Overrides = []Override{{Patches: []Patch{p}}} }
	}
	divide := func(d ...Division) func(*Bundle) { return func(b *Bundle) { b.Spec.Division = d } }
	for what, row := range map[string]struct {
		change func(*Bundle)
		faults []string
	}{
		"a merge patch":                {patch(Patch{Target: web, Merge: doc(`{}`)}), nil},
		"a patch of nothing":           {patch(Patch{Target: web}), []string{"spec.overrides[0].patches[0]"}},
		"two patches in one":           {patch(Patch{Target: web, Merge: doc(`{}`), Strategic: doc(`{}`)}), []string{"spec.overrides[0].patches[0]"}},
		"a patch that is a list":       {patch(Patch{Target: web, Merge: doc(`[]`)}), []string{"spec.overrides[0].patches[0].merge"}},
		"an operation that is none":    {patch(Patch{Target: web, JSON: []runtime.RawExtension{{Raw: []byte(`1`)}}}), []string{"spec.overrides[0].patches[0].json[0]"}},
		"a target of no kind":          {patch(Patch{Merge: doc(`{}`)}), []string{"spec.overrides[0].patches[0].target.kind"}},
		"patches without measure":      {patch(Patch{Target: web, Merge: doc(`{"a":"` + strings.Repeat("x", MaxOverrideBytes) + `"}`)}), []string{"spec.overrides"}},
		"an image that stays as it is": {func(b *Bundle) { b.Spec.Overrides = []Override{{Images: []ImageOverride{{Image: "a"}}}} }, []string{"spec.overrides[0].images[0]"}},
		"fewer than no pods": {func(b *Bundle) {
			b.Spec.Overrides = []Override{{Replicas: []ReplicasOverride{{Target: web, Count: -1}}}}
		}, []string{"spec.overrides[0].replicas[0].count"}},
		"a division with its defaults":       {divide(Division{Target: web}), nil},
		"a division of all of a kind":        {divide(Division{Target: Target{Kind: "Deployment"}}), []string{"spec.division[0].target.name"}},
		"an object that is divided twice":    {divide(Division{Target: web}, Division{Target: web}), []string{"spec.division[1].target"}},
		"weights where capacity counts":      {divide(Division{Target: web, By: DivideByFreeCapacity, Weights: []Weight{{Clusters: []string{"fra"}}}}), []string{"spec.division[0].weights"}},
		"a weight that is for nobody":        {divide(Division{Target: web, Weights: []Weight{{Weight: 1}}}), []string{"spec.division[0].weights[0]"}},
		"a weight that weighs less than air": {divide(Division{Target: web, Weights: []Weight{{Clusters: []string{"fra"}, Weight: -1}}}), []string{"spec.division[0].weights[0].weight"}},
	} {
		t.Run(what, func(t *testing.T) {
			b := &Bundle{ObjectMeta: named("shop")}
			row.change(b)
			SetBundleDefaults(b)
			expectFaults(t, ValidateBundle(b), row.faults...)
		})
	}
}
