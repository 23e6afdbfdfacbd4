package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of all kinds.
const GroupName = "fleet.hanse.dev"

// SchemeGroupVersion is the group and the version of this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme registers the kinds and their defaults.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion,
		&Fleet{}, &FleetList{},
		&Cluster{}, &ClusterList{},
		&User{}, &UserList{},
		&Bundle{}, &BundleList{},
		&BundleRevision{}, &BundleRevisionList{},
		&Rollout{}, &RolloutList{},
		&Work{}, &WorkList{},
		&ClusterMetrics{}, &ClusterMetricsList{},
		&Change{}, &ChangeList{},
		&RecipientGroup{}, &RecipientGroupList{},
		&FleetSecret{}, &FleetSecretList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return addDefaults(scheme)
}

// Resource is the group resource of a plural name, for errors.
func Resource(plural string) schema.GroupResource {
	return schema.GroupResource{Group: GroupName, Resource: plural}
}

// TypeOf is what an object of a kind says of its type.
func TypeOf(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: SchemeGroupVersion.String(), Kind: kind}
}
