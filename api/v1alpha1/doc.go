// Package v1alpha1 holds the kinds of the group fleet.hanse.dev: their types, defaults and validation,
// and the small records that the log keeps beside them (grants, tombstones).
//
// It imports nothing else of Hanse, so every room may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.hanse.fleet.v1alpha1
// +groupName=fleet.hanse.dev
package v1alpha1
