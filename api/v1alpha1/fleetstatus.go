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
	// LogVersion is the version that the fleet applies the log by. It grows once every member can apply the next.
	LogVersion uint64 `json:"logVersion"`
	Quorum     Quorum `json:"quorum"`
	// Starting says that the answering member has just started and has not found the others yet: ask again in a moment.
	Starting bool `json:"starting,omitempty"`
	// Leader is the cluster of the leader, empty when there is none.
	Leader string `json:"leader"`
	// RegionsYouCanLose lists each region whose loss, now, leaves a quorum.
	RegionsYouCanLose []string `json:"regionsYouCanLose"`
	// AdminRegions lists each region with a member that has the right Admin: only through these can the fleet be changed.
	AdminRegions []string             `json:"adminRegions"`
	Clusters     []ClusterFleetStatus `json:"clusters"`
	// Regions with bundles, by name. A bundle counts once in each, as it is where it is worst.
	Regions []RegionFleetStatus `json:"regions,omitempty"`
	// Unwell are the bundles that failed or drifted somewhere, the worst first.
	Unwell []BundleFleetStatus `json:"unwell,omitempty"`
	// Unplaced are the bundles whose placement does not get what it asks for, the worst first.
	Unplaced []UnplacedFleetStatus `json:"unplaced,omitempty"`
	// VoterChange is what the leader changes about who votes; nil when nothing is on its way.
	VoterChange *VoterChange `json:"voterChange,omitempty"`
	// Frozen says that nothing more is granted in the fleet until it is let go on, and why.
	Frozen *Freeze `json:"frozen,omitempty"`
	// Rollouts are those that have not ended, those that need a person first.
	Rollouts []RolloutFleetStatus `json:"rollouts,omitempty"`
	// Backup is the latest one that was made on schedule.
	Backup *BackupMade `json:"backup,omitempty"`
	// GroupsWithoutRecovery are the recipient groups that no recovery recipient can read: when their clusters have lost their keys, nobody
	// opens what is sealed for them.
	GroupsWithoutRecovery []string `json:"groupsWithoutRecovery,omitempty"`
	// Exposed counts the values in use that clusters could read that left; nil when there are none.
	Exposed *ExposedFleetStatus `json:"exposed,omitempty"`
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

// VoterChange is a change of the voters on its way: clusters that are to vote in the place of others.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type VoterChange struct {
	Joining []string `json:"joining,omitempty"`
	Leaving []string `json:"leaving,omitempty"`
	// ThenYouCanLose is what RegionsYouCanLose will be.
	ThenYouCanLose []string `json:"thenYouCanLose"`
}

// RolloutFleetStatus is one rollout, in short.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type RolloutFleetStatus struct {
	Name   string       `json:"name"`
	Bundle string       `json:"bundle"`
	Phase  RolloutPhase `json:"phase"`
	// Wave was granted last, from 1, of so many Waves.
	Wave  int32 `json:"wave"`
	Waves int32 `json:"waves"`
	// Message says what it waits for.
	Message string `json:"message,omitempty"`
	// Asks is what a person is to approve before it goes on; nil when nothing is.
	Asks *ApprovalAsked `json:"asks,omitempty"`
}

// ApprovalAsked is what a rollout waits for a person to approve: deletions, or that it goes on into a stage.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type ApprovalAsked struct {
	// Objects that it would delete, of so many, in so many clusters.
	Objects  int32 `json:"objects,omitempty"`
	Of       int32 `json:"of,omitempty"`
	Clusters int32 `json:"clusters,omitempty"`
	// Stage that waits, if it has a name.
	Stage string `json:"stage,omitempty"`
}

// RegionFleetStatus is what runs in a region.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type RegionFleetStatus struct {
	Name    string       `json:"name"`
	Bundles BundleCounts `json:"bundles"`
}

// BundleFleetStatus is a bundle that is not well everywhere.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BundleFleetStatus struct {
	Name string `json:"name"`
	// Failed and Drifted count clusters. One in which it failed is not among those in which it drifted.
	Failed  int `json:"failed,omitempty"`
	Drifted int `json:"drifted,omitempty"`
	// Clusters are the first of them, those first in which it failed.
	Clusters []string `json:"clusters"`
}

// UnplacedFleetStatus is a bundle whose condition Placed is False.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type UnplacedFleetStatus struct {
	Name string `json:"name"`
	// Clusters are placed, of so many Wanted; 0 are wanted where the placement says no number.
	Clusters int32 `json:"clusters"`
	Wanted   int32 `json:"wanted,omitempty"`
	// Message says all that is missing.
	Message string `json:"message"`
}

// Lacks is how many clusters are missing; 0 when only their spread is not as it was asked for.
func (u UnplacedFleetStatus) Lacks() int32 { return max(u.Wanted-u.Clusters, 0) }

// ClusterFleetStatus is one cluster as the answering member sees it.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type ClusterFleetStatus struct {
	Name   string `json:"name"`
	Region string `json:"region"`
	Zone   string `json:"zone,omitempty"`
	Voter  bool   `json:"voter"`
	// Standby members have all of the log and take a dead voter's place.
	Standby   bool         `json:"standby,omitempty"`
	Reachable bool         `json:"reachable"`
	LastSeen  *metav1.Time `json:"lastSeen,omitempty"`
	// SeenGoneBy are the clusters whose members say that they hear nothing of it.
	SeenGoneBy []string `json:"seenGoneBy,omitempty"`
	// OnlyLooks says that nothing is done in the cluster until `hanse resume`, since a new epoch began.
	OnlyLooks bool `json:"onlyLooks,omitempty"`
	// Revision is the store revision that the member has; Lag is how far that is behind the answering member's.
	Revision uint64 `json:"revision"`
	Lag      uint64 `json:"lag"`
	// RTTMillis is the round trip from the answering member, in milliseconds; 0 for itself or when unknown.
	RTTMillis float64      `json:"rttMillis,omitempty"`
	Bundles   BundleCounts `json:"bundles"`
	// NotAggregated is the reason why the fleet's API is not in the cluster's own, though it is meant to be; the Cluster's
	// condition says more.
	NotAggregated string `json:"notAggregated,omitempty"`
	LastDrift     *Drift `json:"lastDrift,omitempty"`
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
	// Suspended are those in which a person stopped everything, and nothing is known to have failed.
	Suspended int `json:"suspended,omitempty"`
}

// Plus adds the bundles of another count.
func (n BundleCounts) Plus(o BundleCounts) BundleCounts {
	return BundleCounts{Total: n.Total + o.Total, Ready: n.Ready + o.Ready, Drifted: n.Drifted + o.Drifted, Failed: n.Failed + o.Failed, Suspended: n.Suspended + o.Suspended}
}
