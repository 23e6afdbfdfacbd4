package law

import (
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// rules are the law: a row a prefix, and who may write under it. Where there is no row nobody but the leader writes.
var rules = map[string]func(write) bool{
	v1alpha1.KeyFleets: byAdmin,
	v1alpha1.KeyUsers:  byAdmin,
	KeyTokens:          byAdmin,
	backups:            write.reportsBackup,
	observing:          func(w write) bool { return w.op.Delete && w.asker.admin() },
	v1alpha1.KeyClusters: func(w write) bool {
		return w.asker.admin() && w.before != nil || w.name == w.asker.cluster && w.onlyOwnStatus()
	},
	store.KeyMembers: func(w write) bool {
		return w.onlyOwnAddresses() || w.accompanies()
	},
	store.KeyRemoved: write.accompanies,
	v1alpha1.KeyBundles: func(w write) bool {
		return w.soundBundle() && (w.asker.operator() || w.ownBundle())
	},
	v1alpha1.KeyBundleRevisions: write.accompanies,
	v1alpha1.KeyGrants:          func(w write) bool { return w.strikesGrant() || w.accompanies() },
	v1alpha1.KeyTombstones:      func(w write) bool { return w.strikesTombstone() || w.accompanies() },
}

// observing is the prefix of v1alpha1.KeyObserving: what only a new epoch writes.
const observing = "/observing/"

func byAdmin(w write) bool { return w.asker.admin() }

// splitKey splits "/bundles/shop" into "/bundles/" and "shop".
func splitKey(key string) (prefix, name string) {
	if i := strings.IndexByte(strings.TrimPrefix(key, "/"), '/'); i >= 0 {
		return key[:i+2], key[i+2:]
	}
	return key, ""
}
