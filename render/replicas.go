package render

import (
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
		return setCount(at, u, counted, r.Count)
	})
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
