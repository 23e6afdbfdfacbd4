package reconcile

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// key names an object of the cluster, whatever the version it is read in.
type key struct {
	schema.GroupKind
	namespace, name string
}

func (k key) String() string {
	if k.namespace == "" {
		return k.GroupKind.String() + " " + k.name
	}
	return k.GroupKind.String() + " " + k.namespace + "/" + k.name
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// ref is the key as a report names it. Names come from manifests, so their length is bounded here.
func (k key) ref(version string) v1alpha1.ObjectRef {
	apiVersion := schema.GroupVersion{Group: k.Group, Version: version}.String()
	return v1alpha1.ObjectRef{
		APIVersion: clip(apiVersion, maxName), Kind: clip(k.Kind, maxName),
		Namespace: clip(k.namespace, maxName), Name: clip(k.name, maxName),
	}
}

var (
	kindDefinition = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	kindNamespace  = schema.GroupKind{Kind: "Namespace"}
	kindSecret     = schema.GroupKind{Kind: "Secret"}
)

func sortedKeys[V any](of map[key]V) []key {
	return slices.SortedFunc(maps.Keys(of), compareKeys)
}
