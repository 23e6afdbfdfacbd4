package v1alpha1

import "strings"

// Where the log keeps what. Kinds lie at /<resource>/<name>; the rest are records of the leader and the members.
const (
	KeyFleets          = "/fleets/"
	KeyClusters        = "/clusters/"
	KeyUsers           = "/users/"
	KeyBundles         = "/bundles/"
	KeyBundleRevisions = "/bundlerevisions/"
	KeyRollouts        = "/rollouts/"
	KeyGrants          = "/grants/"     // /grants/<cluster>/<bundle> → Grant
	KeyTombstones      = "/tombstones/" // /tombstones/<bundle UID> → Tombstone
)

// GrantKey is where the grant of a bundle in a cluster lies.
func GrantKey(cluster, bundle string) string { return KeyGrants + cluster + "/" + bundle }

// CutGrantKey undoes GrantKey.
func CutGrantKey(key string) (cluster, bundle string) {
	cluster, bundle, _ = strings.Cut(strings.TrimPrefix(key, KeyGrants), "/")
	return cluster, bundle
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
}

// Tombstone is what a deleted bundle leaves: the clusters that were granted it and have not yet struck
// themselves off. It is deleted with its last cluster. Stored as JSON.
type Tombstone struct {
	Bundle    string   `json:"bundle"`
	BundleUID string   `json:"bundleUID"`
	Clusters  []string `json:"clusters"`
}
