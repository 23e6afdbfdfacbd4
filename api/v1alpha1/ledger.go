package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Exposures is the answer to `hanse secret exposed -o json`: what clusters could read that may not, or not any more. It is derived from the
// log alone, so every member that has the same of it gives the same answer.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Exposures struct {
	// Revision of the log that it was derived from.
	Revision uint64 `json:"revision"`
	// Open is how many of the lines are.
	Open int `json:"open"`
	// Items are the lines, those first that are open.
	Items []Exposure `json:"items"`
}

// Exposure is one line: a secret, and one that could read it.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Exposure struct {
	// Secret is the name of the FleetSecret, Namespace and SecretName the Secret that it becomes.
	Secret     string `json:"secret"`
	Namespace  string `json:"namespace"`
	SecretName string `json:"secretName"`
	// Group whose key opened it.
	Group string `json:"group"`
	SecretReader
	// Generations of the secret that it could read and that are kept.
	Generations []int64 `json:"generations,omitempty"`
	// Known is how many of the Values that are in use it could read. 0 Values: nobody has told yet how many there are.
	Known  int           `json:"known"`
	Values int           `json:"values"`
	State  ExposureState `json:"state"`
	// Message says why it is in that state.
	Message string `json:"message"`
}

// ExposureState is how a line stands.
type ExposureState string

// The states of a line.
const (
	ExposureOpen    ExposureState = "Open"    // what it could read is in use
	ExposureReads   ExposureState = "Reads"   // it may read, and does
	ExposureChanged ExposureState = "Changed" // other values are in use
	ExposureDeleted ExposureState = "Deleted" // the fleet has the secret no more
)

// SecretReader is a cluster that can, or could, open what is sealed for a group.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SecretReader struct {
	// Cluster that it is. Empty for a recovery recipient.
	Cluster string `json:"cluster"`
	// Key tells which recipient the group's key was wrapped to: the beginning of its SHA-256.
	Key string `json:"key,omitempty"`
	// Epoch of the last key of the group that it had.
	Epoch int64       `json:"epoch"`
	Why   ReaderState `json:"why"`
	// Until is when the last key that it had was replaced: what was sealed later it cannot read. Nil: it has the present one.
	Until *metav1.Time `json:"until,omitempty"`
}

// ReaderState is why somebody can read, or cannot any more.
type ReaderState string

// The states of a reader.
const (
	ReaderReads     ReaderState = "Reads"
	ReaderRemoved   ReaderState = "Removed"   // the fleet has no such cluster any more
	ReaderNotPicked ReaderState = "NotPicked" // the group's selector does not pick the cluster
	ReaderOtherKey  ReaderState = "OtherKey"  // the cluster has another key of its own
	ReaderTakenOut  ReaderState = "TakenOut"  // a recovery recipient that is none any more
	ReaderEarlier   ReaderState = "Earlier"   // one of those that left so long ago that the group has no names of them
)

// Lost says that it may not read any more.
func (r *SecretReader) Lost() bool { return r.Why != ReaderReads }

// SecretReaders is the answer to `hanse secret readers -o json`: who can read which revision of a secret, and who could.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SecretReaders struct {
	Revision uint64 `json:"revision"`
	// Secret is the name of the FleetSecret, Namespace and SecretName the Secret that it becomes.
	Secret     string `json:"secret"`
	Namespace  string `json:"namespace"`
	SecretName string `json:"secretName"`
	// Revisions that are kept, the newest first.
	Revisions []RevisionReaders `json:"revisions"`
}

// RevisionReaders are the readers of one revision of a secret.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type RevisionReaders struct {
	Generation int64 `json:"generation"`
	// Present says that it is what the secret is now, Granted that clusters keep it.
	Present bool `json:"present,omitempty"`
	Granted bool `json:"granted,omitempty"`
	// Group that it is sealed for, and the Epoch of the key, 0 when nobody has told yet, or no key opens it.
	Group string `json:"group"`
	Epoch int64  `json:"epoch,omitempty"`
	// Readers are those that can read it first.
	Readers []SecretReader `json:"readers"`
}

// ExposedFleetStatus counts what is open in the list of what clusters that left could read.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type ExposedFleetStatus struct {
	// Lines that are open, of so many Secrets.
	Lines   int `json:"lines"`
	Secrets int `json:"secrets"`
	// Clusters that could read them, and left.
	Clusters []string `json:"clusters"`
}
