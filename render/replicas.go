package render

import (
	"fmt"
	"math"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// setReplicas changes how many pods the targeted objects ask for.
func (s *scene) setReplicas(at *field.Path, r v1alpha1.ReplicasOverride) error {
	return s.each(at, r.Target, r.Optional, func(u *unstructured.Unstructured) error {
		counted := countedBy(u.GetKind())
		if counted == "" {
			return field.Invalid(at.Child("target", "kind"), u.GetKind(), "has no replicas: only Deployment, ReplicaSet, StatefulSet and Job do")
		}
		if err := unstructured.SetNestedField(u.Object, int64(r.Count), "spec", counted); err != nil {
			return field.Invalid(at, u.GetKind()+" "+u.GetName(), fmt.Sprintf("cannot be set: %v", err))
		}
		return nil
	})
}

// Wholes are how many pods the manifests ask for that a content's divisions name; one where a manifest does not say.
func Wholes(c v1alpha1.BundleContent) (all []int32) {
	for _, d := range c.Division {
		all = append(all, whole(c, d.Target))
	}
	return all
}

func whole(c v1alpha1.BundleContent, t v1alpha1.Target) int32 {
	for _, m := range c.Manifests {
		var u unstructured.Unstructured
		if u.UnmarshalJSON(m.Raw) != nil || !names(t, &u) {
			continue
		}
		n, found, err := unstructured.NestedInt64(u.Object, "spec", countedBy(u.GetKind()))
		if found && err == nil {
			return int32(min(max(n, 0), math.MaxInt32))
		}
		return 1
	}
	return 0
}

// countedBy is the field of a kind's spec that says how many pods there are.
func countedBy(kind string) string {
	switch kind {
	case "Deployment", "ReplicaSet", "StatefulSet":
		return "replicas"
	case "Job":
		return "parallelism"
	}
	return ""
}
