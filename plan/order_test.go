package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/plan"
)

func TestOrder(t *testing.T) {
	object := func(apiVersion, kind, name string) unstructured.Unstructured {
		var u unstructured.Unstructured
		u.SetAPIVersion(apiVersion)
		u.SetKind(kind)
		u.SetName(name)
		return u
	}
	objects := []unstructured.Unstructured{
		object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "guard"),
		object("example.dev/v1", "Shop", "main"),
		object("apps/v1", "Deployment", "web"),
		object("v1", "ConfigMap", "b"),
		object("v1", "ConfigMap", "a"),
		object("v1", "Namespace", "shop"),
		object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "shops.example.dev"),
	}
	plan.Order(objects)
	var got []string
	for _, o := range objects {
		got = append(got, o.GetKind()+"/"+o.GetName())
	}
	want := []string{
		"Namespace/shop", "CustomResourceDefinition/shops.example.dev", "ConfigMap/a", "ConfigMap/b",
		"Deployment/web", "Shop/main", "ValidatingWebhookConfiguration/guard",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
