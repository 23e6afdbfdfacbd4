package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterMetrics is what is measured in a cluster and of it: its capacity, how fast its machines, its disk and its links are.
// It is computed by the member that is asked, from what the cluster's member told last; it is not stored. Its name is the
// cluster's. Each reading says who took it and when; one that was never taken is absent.
type ClusterMetrics struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Status ClusterMetricsStatus `json:"status,omitempty"`
}

// ClusterMetricsStatus holds the readings.
type ClusterMetricsStatus struct {
	// kubernetes is which Kubernetes the cluster runs.
	// +optional
	Kubernetes *KubernetesReading `json:"kubernetes,omitempty"`
	// capacity is what the cluster has room for, and how much of it is spoken for.
	// +optional
	Capacity *CapacityReading `json:"capacity,omitempty"`
	// storage is which storage classes the cluster offers.
	// +optional
	Storage *StorageReading `json:"storage,omitempty"`
	// processor is how fast the machine is that the member runs on.
	// +optional
	Processor *ProcessorReading `json:"processor,omitempty"`
	// disk is how fast the disk is that the member's log lies on.
	// +optional
	Disk *DiskReading `json:"disk,omitempty"`
	// roundTrips are the distances to members that it has a connection with, by the peer's name. Where the cluster has
	// not measured one itself, the peer's reading stands.
	// +optional
	// +listType=atomic
	RoundTrips []RoundTripReading `json:"roundTrips,omitempty"`
}

// ReadingSource is where a reading comes from.
type ReadingSource struct {
	// observer is the cluster whose member took the reading.
	Observer string `json:"observer"`
	// at is when it was taken, by the clock of the member that answers: what travels is its age.
	At metav1.Time `json:"at"`
}

// KubernetesReading is what the cluster's kube-apiserver says of itself.
type KubernetesReading struct {
	ReadingSource `json:",inline"`
	// version of the kube-apiserver, such as v1.34.1.
	Version string `json:"version"`
}

// CapacityReading adds up the cluster's nodes, and the pods that are bound to one and have not ended.
type CapacityReading struct {
	ReadingSource `json:",inline"`
	// nodes is how many nodes the cluster has.
	Nodes int32 `json:"nodes"`
	// readyNodes is how many of them are ready and take new pods.
	ReadyNodes int32 `json:"readyNodes"`
	// pods is how many pods run, or are about to, on its nodes.
	Pods int32 `json:"pods"`
	// allocatable is what the ready nodes have for pods.
	Allocatable Amount `json:"allocatable"`
	// requested is what the pods ask for, as the scheduler counts it.
	Requested Amount `json:"requested"`
}

// Amount of what pods take.
type Amount struct {
	// cpu in cores, such as 12 or 7300m.
	CPU resource.Quantity `json:"cpu"`
	// memory in bytes, such as 96Gi.
	Memory resource.Quantity `json:"memory"`
}

// StorageReading lists the storage classes.
type StorageReading struct {
	ReadingSource `json:",inline"`
	// classes by name, at most 32 of them.
	// +optional
	// +listType=atomic
	Classes []StorageClass `json:"classes,omitempty"`
}

// StorageClass is one that volumes can have in the cluster.
type StorageClass struct {
	// name of the class.
	Name string `json:"name"`
	// provisioner that makes its volumes.
	Provisioner string `json:"provisioner"`
	// default is true for the class of volumes that name none.
	// +optional
	Default bool `json:"default,omitempty"`
}

// ProcessorReading was taken once, soon after the member's start, on the machine that it runs on.
type ProcessorReading struct {
	ReadingSource `json:",inline"`
	// model as the machine names it.
	Model string `json:"model"`
	// cores is how many threads the machine can run at once.
	Cores int32 `json:"cores"`
	// speed of one of its cores in percent of the reference, which is a common server's of 2020. docs/metrics.md says what
	// is measured.
	Speed int32 `json:"speed"`
	// speedClass sorts speeds into classes of 25 percent: 10 is the reference, each class is 1.25 times as fast as the one below.
	SpeedClass int32 `json:"speedClass"`
}

// DiskReading is how long the disk took to make what the member wrote to its log durable, in the last ten to twenty minutes.
type DiskReading struct {
	ReadingSource `json:",inline"`
	// fsyncP999 is the time within which 999 of 1000 writes were durable.
	FsyncP999 metav1.Duration `json:"fsyncP999"`
}

// RoundTripReading is over the last minute.
type RoundTripReading struct {
	ReadingSource `json:",inline"`
	// peer is the cluster at the other end.
	Peer string `json:"peer"`
	// least of the round trips: the distance, whatever the machines have to do besides.
	Least metav1.Duration `json:"least"`
	// p99 is the time within which 99 of 100 came back.
	P99 metav1.Duration `json:"p99"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterMetricsList is a list of ClusterMetrics.
type ClusterMetricsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterMetrics `json:"items"`
}
