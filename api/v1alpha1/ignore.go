package v1alpha1

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// IgnoredFields are fields of objects that somebody else owns in the clusters, such as the replicas that an autoscaler sets. Whatever
// manifests and overrides say of them is left out: no apply sets them, and what they are is neither drift nor a difference.
type IgnoredFields struct {
	// target names the objects.
	Target Target `json:"target"`
	// paths are JSON pointers (RFC 6901) to fields: /spec/replicas, /spec/template/spec/containers/0/resources.
	// +listType=set
	Paths []string `json:"paths"`
}

const (
	maxIgnored      = 64
	maxIgnoredPaths = 64
)

// identifying are the fields that say which object it is; no rule is about them.
var identifying = []string{"/apiVersion", "/kind", "/metadata", "/metadata/name", "/metadata/namespace"}

func validateIgnore(at *field.Path, all []IgnoredFields) (errs field.ErrorList) {
	if len(all) > maxIgnored {
		return field.ErrorList{field.TooMany(at, len(all), maxIgnored)}
	}
	for i, rule := range all {
		at := at.Index(i)
		errs = append(errs, validateTarget(at.Child("target"), rule.Target)...)
		switch n := len(rule.Paths); {
		case n == 0:
			errs = append(errs, field.Required(at.Child("paths"), "such as /spec/replicas"))
		case n > maxIgnoredPaths:
			errs = append(errs, field.TooMany(at.Child("paths"), n, maxIgnoredPaths))
		}
		for j, path := range rule.Paths {
			switch {
			case slices.Contains(rule.Paths[:j], path):
				errs = append(errs, field.Duplicate(at.Child("paths").Index(j), path))
			case !strings.HasPrefix(path, "/") || path == "/":
				errs = append(errs, field.Invalid(at.Child("paths").Index(j), path, "must be a path such as /spec/replicas"))
			case slices.Contains(identifying, path):
				errs = append(errs, field.Forbidden(at.Child("paths").Index(j), "it says which object it is"))
			}
		}
	}
	return errs
}
