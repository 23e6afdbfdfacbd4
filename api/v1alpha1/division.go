package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DivideBy says by what a number of pods is divided.
// +enum
type DivideBy string

// What the parts go by.
const (
	// The weights that the division gives the clusters.
	DivideByWeight DivideBy = "Weight"
	// How many cores are free in them. Who has some keeps them; only what comes on top goes by it.
	DivideByFreeCapacity DivideBy = "FreeCapacity"
)

// Division divides the pods of one object among the clusters that the bundle is placed in: the number is that of the manifest,
// and the parts add up to it. Each cluster's part is frozen when a revision is granted to it; what others have been granted of
// that revision stays, so one that comes later gets what is left, and what one had that leaves is divided among the others. Of a Job,
// completions are divided, where it says any, and parallelism with them; what a cluster has of a Job stays while it has that revision. An object that no division names has its number in each cluster.
type Division struct {
	// target names one object, a Deployment, ReplicaSet, StatefulSet or Job. A Job that is Indexed cannot be divided: each cluster would count
	// its pods from 0.
	Target Target `json:"target"`
	// by is Weight or FreeCapacity: Weight.
	// +optional
	By DivideBy `json:"by,omitempty"`
	// weights of the clusters; the first that is for a cluster counts, and one that none is for has no part. Without any, all weigh
	// the same.
	// +optional
	// +listType=atomic
	Weights []Weight `json:"weights,omitempty"`
}

// Stays says that no part of it moves while a revision stands, whatever becomes of the clusters: a Job's completions cannot be changed, and
// what was done of them is not to be done again.
func (d Division) Stays() bool { return d.Target.Kind == "Job" }

// Weight is how much some clusters weigh.
type Weight struct {
	// clusters are names of clusters that it is for.
	// +optional
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`
	// clusterSelector is for clusters by their labels.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`
	// weight is how much each of them weighs, 0 to 1000000.
	Weight int32 `json:"weight"`
}
