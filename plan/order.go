package plan

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Stage is when an object is applied: all objects of a stage are applied, and definitions and namespaces are
// ready, before the next stage begins. Deletion goes the other way.
type Stage int

// The stages, in the order of applying.
const (
	StageDefinitions Stage = iota // CustomResourceDefinitions and Namespaces: the rest needs them
	StageFoundations              // what workloads refer to: accounts, roles, settings, claims
	StageWorkloads                // everything else
	StageHooks                    // webhooks and APIServices: they must not be called before what serves them runs
)

var stages = map[schema.GroupKind]Stage{
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: StageDefinitions,
	{Kind: "Namespace"}:                                                               StageDefinitions,
	{Kind: "ServiceAccount"}:                                                          StageFoundations,
	{Kind: "Secret"}:                                                                  StageFoundations,
	{Kind: "ConfigMap"}:                                                               StageFoundations,
	{Kind: "ResourceQuota"}:                                                           StageFoundations,
	{Kind: "LimitRange"}:                                                              StageFoundations,
	{Kind: "PersistentVolume"}:                                                        StageFoundations,
	{Kind: "PersistentVolumeClaim"}:                                                   StageFoundations,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                   StageFoundations,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                               StageFoundations,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                                StageFoundations,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                         StageFoundations,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                  StageFoundations,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                                StageFoundations,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:                         StageFoundations,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}:   StageHooks,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:     StageHooks,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}:        StageHooks,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"}: StageHooks,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                             StageHooks,
}

// StageOf tells when objects of a kind are applied.
func StageOf(gk schema.GroupKind) Stage {
	if s, known := stages[gk]; known {
		return s
	}
	return StageWorkloads
}

// OrderOf is what an object says of its place within its stage. What cannot be read is as if it were not there.
func OrderOf(o *unstructured.Unstructured) int {
	n, err := v1alpha1.OrderOf(o.GetAnnotations()[v1alpha1.AnnotationOrder])
	if err != nil {
		return 0
	}
	return n
}

// Order sorts objects into the order of applying: by stage, then as they say, then by kind, namespace and name, so that the same
// bundle is always applied in the same order.
func Order(objects []unstructured.Unstructured) {
	slices.SortStableFunc(objects, func(a, b unstructured.Unstructured) int {
		ka, kb := a.GroupVersionKind().GroupKind(), b.GroupVersionKind().GroupKind()
		return cmp.Or(
			cmp.Compare(StageOf(ka), StageOf(kb)), cmp.Compare(OrderOf(&a), OrderOf(&b)),
			cmp.Compare(ka.Group, kb.Group), cmp.Compare(ka.Kind, kb.Kind),
			cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
}
