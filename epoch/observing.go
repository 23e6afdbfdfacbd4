package epoch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Looking are the clusters that only look, with the records that say so. A record that cannot be read counts.
func Looking(v *store.View) map[string]v1alpha1.Observing {
	all := map[string]v1alpha1.Observing{}
	for _, kv := range v.List(v1alpha1.KeyObserving) {
		if o := read(kv); o.Resumed == nil {
			all[kv.Key[len(v1alpha1.KeyObserving):]] = o
		}
	}
	return all
}

// Looks says whether a cluster only looks.
func Looks(v *store.View, cluster string) bool {
	kv, there := v.Get(v1alpha1.KeyObserving + cluster)
	return there && read(kv).Resumed == nil
}

// NobodyActs says that every cluster of the fleet only looks, as it is when an epoch begins.
func NobodyActs(v *store.View) bool {
	looking := len(Looking(v))
	return looking > 0 && looking >= v.Count(v1alpha1.KeyClusters)
}

func read(kv store.KV) (o v1alpha1.Observing) {
	if json.Unmarshal(kv.Value, &o) != nil {
		return v1alpha1.Observing{Reason: v1alpha1.ReasonRestored}
	}
	return o
}

// newest is the youngest of some records, which speaks for all.
func newest(looking map[string]v1alpha1.Observing) (o v1alpha1.Observing) {
	for _, name := range slices.Sorted(maps.Keys(looking)) {
		if looking[name].Since.After(o.Since) || o.Reason == "" {
			o = looking[name]
		}
	}
	return o
}

// OnlyLooks is what people are told; empty when every cluster acts.
func OnlyLooks(v *store.View) string {
	looking := Looking(v)
	if len(looking) == 0 {
		return ""
	}
	why := strings.ToLower(string(newest(looking).Reason))
	if NobodyActs(v) {
		return fmt.Sprintf("the fleet only looks since it was %s, and does nothing in any cluster; to see what it would do, and let it: hanse resume", why)
	}
	said := fmt.Sprintf("since the fleet was %s some clusters only look, and nothing is done in them: %s", why, v1alpha1.Few(slices.Sorted(maps.Keys(looking)), 3))
	var lost []string
	for name := range looking {
		if len(membersOf(v, name)) == 0 {
			lost = append(lost, name)
		}
	}
	if len(lost) == len(looking) {
		return said + "; they must join again, then: hanse resume"
	}
	return said + "; to see what would be done, and let it: hanse resume"
}

// DecidedAt is the revision at which people decided what a grant allows. That is the grant's own, unless the grant was given
// in this epoch and says what is from before it: such a grant is worth no more than the state that the epoch began from.
// A cluster that has acted on something newer, which this fleet has lost, is therefore left as it is (reconcile: OldGrant),
// until somebody decides about the bundle.
func DecidedAt(v *store.View, at store.Revision, g v1alpha1.Grant) store.Revision {
	e := v.Epoch()
	if at < e.Began || decidedSince(v, e.Began, g) {
		return at
	}
	return e.From()
}

// decidedSince says that what a grant allows was written at a revision or later: the bundle's revision, or, when the bundle
// is withdrawn, its tombstone or the revision that took its cluster away.
func decidedSince(v *store.View, since store.Revision, g v1alpha1.Grant) bool {
	written := func(key string) bool {
		kv, ok := v.Get(key)
		return ok && kv.Created >= since
	}
	if !g.Withdraw {
		return written(v1alpha1.KeyBundleRevisions + g.Revision)
	}
	var b v1alpha1.Bundle
	if kv, ok := v.Get(v1alpha1.RolledOutOf(g.Bundle).Key()); ok && json.Unmarshal(kv.Value, &b) == nil && string(b.UID) == g.BundleUID {
		return written(v1alpha1.KeyBundleRevisions + v1alpha1.RevisionName(g.Bundle, string(b.UID), b.Generation))
	}
	return written(v1alpha1.KeyTombstones + g.BundleUID)
}
