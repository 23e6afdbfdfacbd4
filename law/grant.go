package law

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// strikesGrant says that a member removes its own grant after it has withdrawn the bundle.
func (w write) strikesGrant() bool {
	var g v1alpha1.Grant
	return w.op.Delete && w.asker.person == "" && strings.HasPrefix(w.name, w.asker.cluster+"/") && w.before != nil &&
		json.Unmarshal(w.before, &g) == nil && g.Withdraw
}

// buries says that the tombstone is new, and that the transaction deletes the very bundle it is of: the law of that
// write decides.
func (w write) buries() bool {
	var t v1alpha1.Tombstone
	if w.op.Delete || w.before != nil || json.Unmarshal(w.op.Value, &t) != nil || w.op.Key != v1alpha1.KeyTombstones+t.BundleUID {
		return false
	}
	kv, there := w.view.Get(v1alpha1.KeyBundles + t.Bundle)
	b, ok := w.read.in(kv.Value)
	return there && ok && string(b.UID) == t.BundleUID && slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		return op.Key == kv.Key && op.Delete
	})
}

// strikesTombstone says that a member takes itself, and nobody else, off a tombstone; the last one deletes it.
func (w write) strikesTombstone() bool {
	var before, after v1alpha1.Tombstone
	if w.asker.person != "" || w.before == nil || json.Unmarshal(w.before, &before) != nil {
		return false
	}
	left := slices.DeleteFunc(slices.Clone(before.Clusters), func(c string) bool { return c == w.asker.cluster })
	if w.op.Delete {
		return len(left) == 0
	}
	return json.Unmarshal(w.op.Value, &after) == nil && after.Bundle == before.Bundle &&
		after.BundleUID == before.BundleUID && slices.Equal(after.Clusters, left)
}
