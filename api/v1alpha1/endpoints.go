package v1alpha1

import "time"

// The paths below are served by every member beside the kinds, to the same people.
const (
	PathStatus  = "/hanse/v1/status"  // GET → FleetStatus
	PathMembers = "/hanse/v1/members" // GET → MemberList
	PathTokens  = "/hanse/v1/tokens"  // POST TokenRequest → TokenAnswer
	PathBackup  = "/hanse/v1/backup"  // POST BackupRequest → a backup, as bytes
)

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
