package v1alpha1

import "time"

// The paths below are served by every member beside the kinds, to the same people.
const (
	PathStatus   = "/hanse/v1/status"   // GET → FleetStatus
	PathMembers  = "/hanse/v1/members"  // GET → MemberList
	PathLead     = "/hanse/v1/lead"     // POST LeadRequest → LeadAnswer
	PathTokens   = "/hanse/v1/tokens"   // POST TokenRequest → TokenAnswer
	PathSurvivor = "/hanse/v1/survivor" // GET → what this member would say in a recovery
	PathResume   = "/hanse/v1/resume"   // GET → Prospect; POST ResumeRequest → Resumed
	PathBackup   = "/hanse/v1/backup"   // POST BackupRequest → a backup, as bytes
	PathSecret   = "/hanse/v1/secret"   // POST SecretRequest → the Secret of Kubernetes that was sealed
	PathExposed  = "/hanse/v1/exposed"  // GET ?cluster= → Exposures; without a cluster, of all that left
	PathReaders  = "/hanse/v1/readers"  // GET ?secret= → SecretReaders
	PathSealing  = "/hanse/v1/sealing"  // GET ?secret= → SecretSealing
	PathTunnel   = "/hanse/v1/tunnel/"  // GET …CLUSTER, Upgrade: UpgradeTunnel → a connection to that cluster's member
	PathCluster  = "/cluster/"          // the API of the member's own cluster, for people in their own name
)

// UpgradeTunnel is the protocol that a request to PathTunnel upgrades to: bytes both ways, which are to be TLS.
const UpgradeTunnel = "hanse-tunnel/1"

// HeaderBackup tells, with the answer to a BackupRequest, what the backup is of: JSON, as in the backup. TrailerBackupSize
// comes after its last byte, so that an answer that was cut off is seen.
const (
	HeaderBackup      = "Hanse-Backup"
	TrailerBackupSize = "Hanse-Backup-Size"
)

// BackupRequest asks for a backup, which only those can read to whom it is encrypted.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BackupRequest struct {
	// Recipients are age recipients, one at least.
	Recipients []string `json:"recipients"`
	// Stale takes the member's own state, without asking the leader for the newest: it works without quorum.
	Stale bool `json:"stale,omitempty"`
}

// SecretRequest asks for what is sealed, opened. That it was asked for is written into the log first.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SecretRequest struct {
	// Name of the FleetSecret.
	Name string `json:"name"`
}

// SecretSealing is what was sealed again of a secret, for who opens it with a recovery key. Like the secret itself it can be read by nobody else.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SecretSealing struct {
	// BundleRevision is the revision that the secret has now.
	BundleRevision string `json:"bundleRevision"`
	// Sealing is of that, or of another one that has the very same bytes: one that two clusters agreed on, if there is. It is absent as long as its
	// group has had one key alone.
	Sealing *Sealing `json:"sealing,omitempty"`
	// Alike are the further ones: what was sealed again of any of them is what is in all.
	Alike []*Sealing `json:"alike,omitempty"`
}

// MemberList tells where each member serves its API, and how to know it.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type MemberList struct {
	Fleet string `json:"fleet"`
	// Member is the cluster whose member answers.
	Member string `json:"member"`
	// ServerName is the TLS server name that every member's certificate carries.
	ServerName string         `json:"serverName"`
	Members    []MemberServer `json:"members"`
}

// MemberServer is one member's API.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type MemberServer struct {
	Cluster string `json:"cluster"`
	// Server is the URL of the API.
	Server string `json:"server"`
	// Certificate is the member's own, PEM: the one certificate to trust for it.
	Certificate string `json:"certificate"`
}

// LeadRequest moves the leadership, and keeps it there.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type LeadRequest struct {
	// Place is a cluster or a region.
	Place string `json:"place,omitempty"`
	// Auto, in place of a Place, lets the leadership go where it is best again.
	Auto bool `json:"auto,omitempty"`
}

// LeadAnswer is who led, and who leads.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type LeadAnswer struct {
	From       string `json:"from"`
	To         string `json:"to"`
	TookMillis int64  `json:"tookMillis"`
	// Waits says that the place is written, and that the time was up before the leader was there.
	Waits bool `json:"waits,omitempty"`
}

// TokenRequest asks for a join token. What is empty, the joiner may say; what is set, it cannot change.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type TokenRequest struct {
	Cluster string            `json:"cluster,omitempty"`
	Region  string            `json:"region,omitempty"`
	Zone    string            `json:"zone,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Voting  Voting            `json:"voting,omitempty"`
	Rights  Rights            `json:"rights,omitempty"`
	// Replace makes a token for a new incarnation of Cluster's member, whose disk is lost; all else stays as it is.
	Replace bool `json:"replace,omitempty"`
	// TTLSeconds is how long the token lives; 0 for an hour, at most 30 days.
	TTLSeconds int64 `json:"ttlSeconds,omitempty"`
}

// TokenAnswer is a new token. It is not kept anywhere: whoever asked for it has the only copy.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type TokenAnswer struct {
	Token   string    `json:"token"`
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
}

// Prospect is what would happen in the clusters that only look, once they no longer do.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Prospect struct {
	// Observing says that some cluster only looks now, and since when and why.
	Observing bool            `json:"observing"`
	Reason    ObservingReason `json:"reason,omitempty"`
	Since     time.Time       `json:"since,omitzero"`
	// Revision is the fleet's, at which this was found.
	Revision uint64 `json:"revision"`
	Epoch    uint64 `json:"epoch"`
	// From is the revision that the epoch began from. What was written later is lost.
	From uint64 `json:"from,omitempty"`
	// Clusters are those that only look. Acting are the others.
	Clusters []ClusterProspect `json:"clusters"`
	Acting   []string          `json:"acting,omitempty"`
}

// ClusterProspect is a Prospect's part of one cluster.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type ClusterProspect struct {
	Name string `json:"name"`
	// Member says that the cluster has a member; one that has none joins again.
	Member  bool             `json:"member"`
	Bundles []BundleProspect `json:"bundles,omitempty"`
	// Digest is of all of this. Whoever lets the cluster act says it, so that nothing else happens than what was shown.
	Digest string `json:"digest"`
}

// BundleProspect is what would happen with one bundle in one cluster.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BundleProspect struct {
	Bundle string `json:"bundle"`
	// Runs is the revision that the cluster carried out last, Granted the one that the log allows it, Wanted the one that it
	// is to come to: none when the bundle is not for the cluster any more.
	Runs    string `json:"runs,omitempty"`
	Granted string `json:"granted,omitempty"`
	Wanted  string `json:"wanted,omitempty"`
	Would   Would  `json:"would"`
	// Changes is how many objects would be created or changed, Deletions how many would go.
	Changes   int32 `json:"changes,omitempty"`
	Deletions int32 `json:"deletions,omitempty"`
}

// Would is what would happen with a bundle in a cluster.
type Would string

// What would happen.
const (
	WouldKeep    Would = "Keep"    // nothing
	WouldChange  Would = "Change"  // objects are applied, or pruned
	WouldGrant   Would = "Grant"   // the cluster is owed another revision, and gets it in a wave
	WouldRemove  Would = "Remove"  // the bundle is not for the cluster any more: its objects are deleted
	WouldWait    Would = "Wait"    // the cluster runs something newer, which the log has lost: it stays until somebody decides
	WouldUnknown Would = "Unknown" // the cluster's member has not said
)

// ResumeRequest is a person's go, for what a Prospect showed.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type ResumeRequest struct {
	// Revision is the Prospect's.
	Revision uint64 `json:"revision"`
	// Clusters are those that are to act again, each with the Digest of what was shown of it.
	Clusters map[string]string `json:"clusters"`
}

// Resumed is the answer to a person's go.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Resumed struct {
	Revision uint64 `json:"revision"`
	// Clusters act again. Observing are those that still only look.
	Clusters  []string `json:"clusters"`
	Observing []string `json:"observing,omitempty"`
}
