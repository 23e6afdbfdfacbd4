package compare

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// Fate is what becomes of an object.
type Fate string

// The fates.
const (
	Added   Fate = "Added"
	Changed Fate = "Changed"
	Deleted Fate = "Deleted"
	// Replaced is deleted and made anew, as its cluster lets nobody change it so.
	Replaced Fate = "Replaced"
)

// Object is one that is not the same before and after.
type Object struct {
	v1alpha1.ObjectRef
	Fate Fate `json:"fate"`
	// Fields are those that are different, of one that changes.
	Fields []Field `json:"fields,omitempty"`
	// Immutable are those that cannot be changed, of one that is replaced.
	Immutable []string `json:"immutable,omitempty"`
}

// Objects compares two sets of objects, each of which holds an object once. What changes comes first, then what is added, then what
// is deleted, each in the order in which it is applied.
func Objects(before, after []unstructured.Unstructured) (all []Object) {
	had := ByIdentity(before)
	for _, o := range inOrder(after) {
		old, there := had[plan.Identify(plan.Ref(o))]
		if !there {
			continue
		}
		if fields := Fields(old, o); len(fields) > 0 {
			all = append(all, Object{ObjectRef: plan.Ref(o), Fate: Changed, Fields: fields})
		}
	}
	all = append(all, fated(Without(after, before), Added)...)
	return append(all, fated(Without(before, after), Deleted)...)
}

// fated are objects that all have one fate.
func fated(objects []unstructured.Unstructured, fate Fate) (all []Object) {
	for _, o := range objects {
		all = append(all, Object{ObjectRef: plan.Ref(o), Fate: fate})
	}
	return all
}

// Without are the objects that are not among others, in the order in which they are applied.
func Without(objects, others []unstructured.Unstructured) []unstructured.Unstructured {
	there := ByIdentity(others)
	return slices.DeleteFunc(inOrder(objects), func(o unstructured.Unstructured) bool {
		_, is := there[plan.Identify(plan.Ref(o))]
		return is
	})
}

// ByIdentity are objects by what they are called in a cluster.
func ByIdentity(objects []unstructured.Unstructured) map[plan.Identity]unstructured.Unstructured {
	by := map[plan.Identity]unstructured.Unstructured{}
	for _, o := range objects {
		by[plan.Identify(plan.Ref(o))] = o
	}
	return by
}

func inOrder(objects []unstructured.Unstructured) []unstructured.Unstructured {
	objects = slices.Clone(objects)
	plan.Order(objects)
	return objects
}

// serverSet are fields of metadata that no person wrote.
var serverSet = []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"}

// Fields are the fields that are different between two states of an object, but for what its cluster says of it, and the values of
// a Secret: that they differ is told, and not how.
func Fields(before, after unstructured.Unstructured) []Field {
	fields := differ("", peoples(before), peoples(after))
	if after.GetKind() == "Secret" || before.GetKind() == "Secret" {
		for i := range fields {
			if root := fields[i].Path; strings.HasPrefix(root, "data") || strings.HasPrefix(root, "stringData") {
				fields[i].Hide()
			}
		}
	}
	return fields
}

// peoples is an object without what the cluster says of it, and without the marks that hanse puts on what it applies.
func peoples(o unstructured.Unstructured) map[string]any {
	o = *o.DeepCopy()
	delete(o.Object, "status")
	for _, field := range serverSet {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	drop(o.Object, "labels", func(key string) bool { return Mark(key) })
	drop(o.Object, "annotations", func(key string) bool { return key == "kubectl.kubernetes.io/last-applied-configuration" })
	return o.Object
}

// Mark says that a label is one that hanse puts on the objects that it applies.
func Mark(label string) bool {
	return label == v1alpha1.LabelBundle || label == v1alpha1.LabelPartOf
}

// drop leaves keys out of a map in an object's metadata, and the map when it is empty then.
func drop(object map[string]any, field string, out func(key string) bool) {
	metadata, _ := object["metadata"].(map[string]any)
	values, ok := metadata[field].(map[string]any)
	if !ok {
		return
	}
	for key := range values {
		if out(key) {
			delete(values, key)
		}
	}
	if len(values) == 0 {
		delete(metadata, field)
	}
}
