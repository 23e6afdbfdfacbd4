package plan

import (
	"slices"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestBundlesMeetInTheObjectsThatBothBring(t *testing.T) {
	object := func(kind, namespace, name string) v1alpha1.ObjectRef {
		return v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: kind, Namespace: namespace, Name: name}
	}
	web := object("Deployment", "shop", "web")
	beta := web
	beta.APIVersion = "apps/v1beta1"
	role := func(namespace string) v1alpha1.ObjectRef {
		return v1alpha1.ObjectRef{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Namespace: namespace, Name: "reader"}
	}
	gadget := role("shop")
	gadget.APIVersion, gadget.Kind = "example.org/v1", "Gadget"
	gizmo := gadget
	gizmo.Namespace = ""
	others := []v1alpha1.ObjectRef{object("Deployment", "shop", "api"), object("StatefulSet", "shop", "web"), object("Deployment", "store", "web")}
	for name, c := range map[string]struct {
		a, b []v1alpha1.ObjectRef
		want bool
	}{
		"the same object":                         {[]v1alpha1.ObjectRef{web}, []v1alpha1.ObjectRef{others[0], web}, true},
		"in another version of its kind":          {[]v1alpha1.ObjectRef{web}, []v1alpha1.ObjectRef{beta}, true},
		"another name, kind or namespace":         {[]v1alpha1.ObjectRef{web}, others, false},
		"no namespace is the namespace default":   {[]v1alpha1.ObjectRef{object("Job", "", "x")}, []v1alpha1.ObjectRef{object("Job", "default", "x")}, true},
		"what has no namespace names one":         {[]v1alpha1.ObjectRef{role("")}, []v1alpha1.ObjectRef{role("shop")}, true},
		"or two":                                  {[]v1alpha1.ObjectRef{role("store")}, []v1alpha1.ObjectRef{role("shop")}, true},
		"nobody knows whether it has one":         {[]v1alpha1.ObjectRef{gadget}, []v1alpha1.ObjectRef{gizmo}, false},
		"names that only look alike together":     {[]v1alpha1.ObjectRef{object("Job", "ab", "c")}, []v1alpha1.ObjectRef{object("Job", "a", "bc")}, false},
		"an object twice is one claim":            {[]v1alpha1.ObjectRef{web, beta}, others, false},
		"a bundle that brings nothing meets none": {nil, []v1alpha1.ObjectRef{web}, false},
	} {
		t.Run(name, func(t *testing.T) {
			both := slices.Concat(ClaimsOf(c.a), ClaimsOf(c.b))
			slices.Sort(both)
			if got := len(slices.Compact(both)) < len(ClaimsOf(c.a))+len(ClaimsOf(c.b)); got != c.want {
				t.Errorf("they have a digest in common: %v, want %v", got, c.want)
			}
			if ref, got := Shared(c.a, c.b); got != c.want || got && Identify(ref) != Identify(c.a[0]) {
				t.Errorf("they share %v: %v, want %v", ref, got, c.want)
			}
		})
	}
}
