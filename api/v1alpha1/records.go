package v1alpha1

import (
	"strings"
	"time"
)

// Where the log keeps what. Kinds lie at /<resource>/<name>; the rest are records of the leader and the members.
const (
	KeyFleets          = "/fleets/"
	KeyClusters        = "/clusters/"
	KeyUsers           = "/users/"
	KeyBundles         = "/bundles/"
	KeyRecipientGroups = "/recipientgroups/"
	KeyFleetSecrets    = "/fleetsecrets/"
	KeyBundleRevisions = "/bundlerevisions/" // of bundles, and of secrets
	KeySealings        = "/sealings/"        // /sealings/<revision> → Sealing, of revisions of secrets
	KeyRollouts        = "/rollouts/"
	KeyGrants          = "/grants/"     // /grants/<cluster>/<bundle> → Grant
	KeyTombstones      = "/tombstones/" // /tombstones/<bundle UID> → Tombstone
	// /observing/<cluster> → Observing, of each cluster that was there when an epoch began
	KeyObserving = "/observing/"
	// /changes/<name> → Change, and /pasts/<name> → the object's value before it, unless there was none
	KeyChanges = "/changes/"
	KeyPasts   = "/pasts/"
	// KeyBackups has a BackupRecord once a backup was due.
	KeyBackups = "/backups/fleet"
)

// GrantKey is where the grant of a bundle in a cluster lies.
func GrantKey(cluster, bundle string) string { return KeyGrants + cluster + "/" + bundle }

// CutGrantKey undoes GrantKey.
func CutGrantKey(key string) (cluster, bundle string) {
	cluster, bundle, _ = strings.Cut(strings.TrimPrefix(key, KeyGrants), "/")
	return cluster, bundle
}

// KeyPastSecrets begins the keys of what the history has of secrets.
const KeyPastSecrets = KeyPasts + "fleetsecrets."

// CutPastSecretKey is the name of the secret that the history has at a key, and its UID. Behind them is a revision.
func CutPastSecretKey(key string) (name, uid string) {
	parts := strings.Split(strings.TrimPrefix(key, KeyPastSecrets), ".")
	if len(parts) < 3 {
		return "", ""
	}
	of := len(parts) - 2
	return strings.Join(parts[:of], "."), parts[of]
}

// Grant allows one cluster to run one revision of a bundle, or tells it to withdraw the bundle. A member runs
// only what is granted; no grant means: touch nothing. Stored as JSON.
type Grant struct {
	Bundle    string `json:"bundle"`
	BundleUID string `json:"bundleUID"`
	// Revision names the BundleRevision to run; empty when Withdraw is set.
	Revision string `json:"revision,omitempty"`
	// Withdraw tells the cluster to remove the bundle, by the deletion policy of what it last ran.
	Withdraw bool `json:"withdraw,omitempty"`
	// Held takes back what is granted: the cluster touches nothing of the bundle, whatever runs there, until another grant.
	Held bool `json:"held,omitempty"`
	// Frozen is what the revision's overrides take from the cluster; nil when it has none.
	Frozen *Frozen `json:"frozen,omitempty"`
	// At is the revision of the log that wrote the grant; 0 as long as it is not written. It is not part of what is stored.
	At int64 `json:"-"`
}

// Sealing is what those who hold a group's key know of how a revision of a FleetSecret is sealed, and what they sealed again. Until its
// group has had a second key, a revision has none. Stored as JSON.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Sealing struct {
	Group string `json:"group"`
	// Found is the epoch of the key that the revision itself is sealed to; 0: no key that the group keeps opens it.
	Found int64 `json:"found"`
	// Epoch is that of the group's key when a holder looked at it last.
	Epoch int64 `json:"epoch"`
	// Data is the revision's data, sealed to the key of Epoch: only if the revision itself is sealed to an earlier one.
	Data []byte `json:"data,omitempty"`
	// Was is Data as another cluster confirmed it last, until one confirms the present one.
	Was *SealedBefore `json:"was,omitempty"`
	// Words are what others than By sealed again since and nobody confirmed, the last of each, until the present Data are confirmed: of two that
	// do not agree neither takes the other's word away.
	Words []SealedWord `json:"words,omitempty"`
	// By is the cluster of that holder, and Confirmed another one that opened Data and found in it what the revision has.
	By        string `json:"by"`
	Confirmed string `json:"confirmed,omitempty"`
	// Since has, for each value that is sealed, in the order of their names, the epoch of the first key that the very same value of this
	// secret was sealed to, by group: who held that key or a later one knows it. Names are sealed, and stay so. Empty: since ever. One for
	// all of more than MaxSince.
	Since []map[string]int64 `json:"since,omitempty"`
	// Witness is another cluster that found the same as Found and Since. Unlike Confirmed it stays when the group gets another key.
	Witness string `json:"witness,omitempty"`
	// Instead is the cluster whose record with the key of Epoch this one takes the place of: By looked at that, and found otherwise. Each holder
	// writes once a key, so that two who do not agree come to an end, and one alone keeps no two others from agreeing.
	Instead string `json:"instead,omitempty"`
}

// Bounds of what a Sealing tells of values: how many one by one, and of how many groups.
const (
	MaxSince       = 64
	MaxSinceGroups = 16
)

// SealedBefore is what was sealed again to a former key.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SealedBefore struct {
	Epoch int64  `json:"epoch"`
	Data  []byte `json:"data"`
}

// SealedWord is what one cluster sealed again, and nobody confirmed. Without Data it says that this one wrote a record with the key of Epoch, and with None that
// no key opened the revision for it.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SealedWord struct {
	By    string `json:"by"`
	Epoch int64  `json:"epoch"`
	Data  []byte `json:"data,omitempty"`
	None  bool   `json:"none,omitempty"`
}

// maxWords is of how many clusters a record keeps what nobody confirmed.
const maxWords = 3

// Again says that it has data that was sealed again.
func (s *Sealing) Again() bool { return s.Found > 0 && s.Found < s.Epoch }

// Sure says that it has data that was sealed again, and that another cluster confirmed it.
func (s *Sealing) Sure() bool { return s.Again() && s.Confirmed != "" }

// SealedRevision is what is read of the BundleRevision of a secret to know what it is sealed for.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SealedRevision struct {
	Spec struct {
		Bundle     string `json:"bundle"`
		BundleUID  string `json:"bundleUID"`
		Generation int64  `json:"generation"`
		Manifests  []struct {
			Spec struct {
				Group string `json:"group"`
			} `json:"spec"`
		} `json:"manifests"`
	} `json:"spec"`
}

// Group is the group that can open it; "" when it is of no secret.
func (r *SealedRevision) Group() string {
	if !RolledOutOf(r.Spec.Bundle).IsSecret() || len(r.Spec.Manifests) == 0 {
		return ""
	}
	return r.Spec.Manifests[0].Spec.Group
}

// Tombstone is what a deleted bundle leaves: the clusters that were granted it and have not yet struck
// themselves off. It is deleted with its last cluster. Stored as JSON.
type Tombstone struct {
	Bundle    string   `json:"bundle"`
	BundleUID string   `json:"bundleUID"`
	Clusters  []string `json:"clusters"`
}

// Observing says that one cluster only looks: nothing is granted to it, applied, pruned or withdrawn in it, until an admin
// says go with `hanse resume`. A new epoch begins with one for each cluster, since its state may be behind what they run.
// Stored as JSON.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Observing struct {
	// Reason is how the epoch began.
	Reason ObservingReason `json:"reason"`
	Since  time.Time       `json:"since"`
	// Resumed ended it: the cluster acts again.
	Resumed *Resumption `json:"resumed,omitempty"`
}

// Resumption is who let a cluster act again.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Resumption struct {
	// By is who said go, as a Change names them; empty: the member of Through itself.
	By string `json:"by,omitempty"`
	// Through is the cluster whose member was asked.
	Through string `json:"through"`
	// At is when, by that member's clock.
	At time.Time `json:"at"`
}

// ObservingReason is how an epoch began that is not the first.
type ObservingReason string

// The two ways into a new epoch.
const (
	ReasonRestored  ObservingReason = "Restored"
	ReasonRecovered ObservingReason = "Recovered"
)

// Bounds of a BackupRecord: how many backups the fleet remembers, and how long the texts about one are, in bytes.
const (
	MaxBackups     = 1000
	MaxBackupPlace = 1024 // To and Name
	MaxBackupError = 512
)

// BackupRecord is what the fleet knows of its scheduled backups: which is being made, which there are, what went wrong.
// Stored as JSON.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BackupRecord struct {
	// Order is the backup that is to be made, by one member; nil when none is.
	Order *BackupOrder `json:"order,omitempty"`
	// Made are the backups that the fleet made and has not deleted, oldest first.
	Made []BackupMade `json:"made,omitempty"`
	// Failed is the latest failure since the latest backup.
	Failed *BackupFailed `json:"failed,omitempty"`
}

// BackupOrder tells a cluster's member to make a backup.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BackupOrder struct {
	Cluster string    `json:"cluster"`
	At      time.Time `json:"at"`
}

// BackupMade is a backup that lies where it was to go.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BackupMade struct {
	// To and Name are where it lies.
	To       string    `json:"to"`
	Name     string    `json:"name"`
	Revision uint64    `json:"revision"`
	At       time.Time `json:"at"` // that of its order
	By       string    `json:"by"`
	Size     int64     `json:"size"`
}

// BackupFailed is why a backup was not made.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BackupFailed struct {
	At    time.Time `json:"at"` // that of its order
	By    string    `json:"by"`
	Error string    `json:"error"`
}
