package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FleetStatus is the answer to `hanse status -o json`: a stable contract. It is what one member sees, and is
// computed, not stored.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type FleetStatus struct {
	Fleet string `json:"fleet"`
	// Member is the cluster whose member answers.
	Member   string `json:"member"`
	Revision uint64 `json:"revision"`
	// Epoch counts how often the fleet was founded, restored or recovered; EpochID tells two epochs of one number apart.
	Epoch   uint64 `json:"epoch"`
	EpochID string `json:"epochID,omitempty"`
	Quorum  Quorum `json:"quorum"`
	// Leader is the cluster of the leader, empty when there is none.
	Leader string `json:"leader"`
	// RegionsYouCanLose lists each region whose loss, now, leaves a quorum.
	RegionsYouCanLose []string             `json:"regionsYouCanLose"`
	Clusters          []ClusterFleetStatus `json:"clusters"`
	// Warnings are sentences for people.
	Warnings []string `json:"warnings,omitempty"`
}

// Quorum says how many voters the answering member knows to be alive, and whether writes are possible.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Quorum struct {
	Voters  int  `json:"voters"`
	Reached int  `json:"reached"`
	Have    bool `json:"have"`
}

// ClusterFleetStatus is one cluster as the answering member sees it.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type ClusterFleetStatus struct {
	Name      string       `json:"name"`
	Region    string       `json:"region"`
	Zone      string       `json:"zone,omitempty"`
	Voter     bool         `json:"voter"`
	Reachable bool         `json:"reachable"`
	LastSeen  *metav1.Time `json:"lastSeen,omitempty"`
	// Revision is the store revision that the member has; Lag is how far that is behind the answering member's.
	Revision uint64 `json:"revision"`
	Lag      uint64 `json:"lag"`
	// RTTMillis is the round trip from the answering member, in milliseconds; 0 for itself or when unknown.
	RTTMillis float64      `json:"rttMillis,omitempty"`
	Bundles   BundleCounts `json:"bundles"`
	LastDrift *Drift       `json:"lastDrift,omitempty"`
}

// BundleCounts counts the bundles of a cluster.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BundleCounts struct {
	Total   int `json:"total"`
	Ready   int `json:"ready"`
	Drifted int `json:"drifted"`
	Failed  int `json:"failed"`
}
