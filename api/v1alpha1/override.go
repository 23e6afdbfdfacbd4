package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Override changes what some clusters run. The overrides of a bundle are applied in their order, each to what those before it
// left: first its patches, then its images, then its replicas.
//
// Text that a patch, a registry or a tag puts in may have expressions (CEL) that speak of the cluster: ${cluster.name},
// ${int(cluster.labels["size"])}; also of cluster.region, cluster.zone, cluster.taints and cluster.facts. They are evaluated when
// the revision is granted to the cluster. A value that is one expression, and nothing else, has the type of its result.
// $${cluster.name} is ${cluster.name} as it stands.
type Override struct {
	// clusters are names of clusters that it is for.
	// +optional
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`
	// clusterSelector is for clusters by their labels. Without names and selector, it is for every cluster.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`
	// patches change objects of the bundle.
	// +optional
	// +listType=atomic
	Patches []Patch `json:"patches,omitempty"`
	// images change what containers run.
	// +optional
	// +listType=atomic
	Images []ImageOverride `json:"images,omitempty"`
	// replicas change how many pods there are.
	// +optional
	// +listType=atomic
	Replicas []ReplicasOverride `json:"replicas,omitempty"`
}

// Target names objects of a bundle.
type Target struct {
	// apiVersion of the objects. Without it, any.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// kind of the objects.
	Kind string `json:"kind"`
	// namespace of the objects. Without it, any.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// name of the object. Without it, every object of the kind.
	// +optional
	Name string `json:"name,omitempty"`
}

// Patch changes the objects that its target names. It says one of json, merge and strategic. What an object is called, and of
// which kind it is, no patch changes.
type Patch struct {
	// target names the objects.
	Target Target `json:"target"`
	// json is a JSON patch (RFC 6902): a list of operations such as {op: replace, path: /spec/replicas, value: 5}.
	// +optional
	// +listType=atomic
	JSON []runtime.RawExtension `json:"json,omitempty"`
	// merge is a JSON merge patch (RFC 7386): what it says replaces what is there, null removes it, lists are replaced whole.
	// +optional
	Merge *runtime.RawExtension `json:"merge,omitempty"`
	// strategic is a strategic merge patch, for kinds that Kubernetes itself has: lists are merged by their keys, such as the
	// name of a container.
	// +optional
	Strategic *runtime.RawExtension `json:"strategic,omitempty"`
	// optional says that it is no fault when the target names no object of the bundle.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// ImageOverride changes the images of containers, wherever in an object they are.
type ImageOverride struct {
	// image is the name, without tag and digest, of the images that are changed. Without it, all are.
	// +optional
	Image string `json:"image,omitempty"`
	// registry takes the place of the image's registry; an image without one gets it.
	// +optional
	Registry string `json:"registry,omitempty"`
	// tag takes the place of the image's tag or digest.
	// +optional
	Tag string `json:"tag,omitempty"`
	// optional says that it is no fault when there is no such image.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// ReplicasOverride changes how many pods an object asks for: a Deployment's, ReplicaSet's or StatefulSet's replicas, a Job's parallelism.
type ReplicasOverride struct {
	// target names the objects.
	Target Target `json:"target"`
	// count is how many.
	Count int32 `json:"count"`
	// optional says that it is no fault when the target names no object of the bundle.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// Frozen is what the rendering of a revision takes from the cluster, as it was when the revision was granted: a label that changes
// later changes nothing that runs. Stored in the grant.
type Frozen struct {
	// overrides are the indices of those that are for the cluster.
	// +optional
	// +listType=atomic
	Overrides []int32 `json:"overrides,omitempty"`
	// values are what the expressions of these overrides came to, by expression.
	// +optional
	Values map[string]FrozenValue `json:"values,omitempty"`
	// divided is the cluster's part of each of the bundle's divisions.
	// +optional
	// +listType=atomic
	Divided []int32 `json:"divided,omitempty"`
}

// FrozenValue is what an expression came to.
type FrozenValue struct {
	// json is the value, as JSON; empty when there is none.
	// +optional
	JSON string `json:"json,omitempty"`
	// error says why there is none.
	// +optional
	Error string `json:"error,omitempty"`
}

// Value is the value that is frozen.
func (v FrozenValue) Value() (value any, err error) {
	err = json.Unmarshal([]byte(v.JSON), &value)
	return value, err
}
