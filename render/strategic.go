package render

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// strategicallyMerged is a strategic merge patch applied to an object of a kind that Kubernetes itself has: only of these is known
// how lists merge.
func strategicallyMerged(u *unstructured.Unstructured, patch map[string]any) (object map[string]any, err error) {
	typed, err := scheme.Scheme.New(u.GroupVersionKind())
	if err != nil {
		return nil, fmt.Errorf("no kind of Kubernetes itself, %s %s: how its lists merge is not known; say merge or json", u.GetAPIVersion(), u.GetKind())
	}
	defer func() { // a patch of an unforeseen form is a fault of the patch
		if r := recover(); r != nil {
			object, err = nil, fmt.Errorf("it is no strategic merge patch: %v", r)
		}
	}()
	return strategicpatch.StrategicMergeMapPatch(u.Object, patch, typed)
}

// StrategicPatch makes one object of another and says nothing of what they have in common, but the keys of a list's items, and all of a list that
// Kubernetes has as one value, such as tolerations. false where there is none: the kind is none of Kubernetes itself, or the patch would make something else, as where an item gets another key.
func StrategicPatch(from, to unstructured.Unstructured) (patch []byte, ok bool) {
	typed, err := scheme.Scheme.New(from.GroupVersionKind())
	if err != nil {
		return nil, false
	}
	before, err := from.MarshalJSON()
	if err != nil {
		return nil, false
	}
	after, err := to.MarshalJSON()
	if err != nil {
		return nil, false
	}
	both, err := strategicpatch.CreateTwoWayMergePatch(before, after, typed)
	if err != nil {
		return nil, false
	}
	var document map[string]any
	if err := json.Unmarshal(both, &document); err != nil {
		return nil, false
	}
	withoutOrder(document)
	if patch, err = json.Marshal(document); err != nil {
		return nil, false
	}
	made, err := strategicallyMerged(from.DeepCopy(), document)
	return patch, err == nil && reflect.DeepEqual(made, to.Object)
}

// withoutOrder takes out what a patch says of the order of lists: it would hold for items that come later, too.
func withoutOrder(value any) {
	switch v := value.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(key string, _ any) bool { return strings.HasPrefix(key, "$setElementOrder/") })
		for _, inner := range v {
			withoutOrder(inner)
		}
	case []any:
		for _, inner := range v {
			withoutOrder(inner)
		}
	}
}
