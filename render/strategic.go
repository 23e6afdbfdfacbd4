package render

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
