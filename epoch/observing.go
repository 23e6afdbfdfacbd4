package epoch

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Observing says whether the fleet only looks at its clusters, and since when. A record that cannot be read counts.
func Observing(v *store.View) (o v1alpha1.Observing, yes bool) {
	kv, yes := v.Get(v1alpha1.KeyObserving)
	if yes && json.Unmarshal(kv.Value, &o) != nil {
		o.Reason = v1alpha1.ReasonRestored
	}
	return o, yes
}

// OnlyLooks is what people are told.
func OnlyLooks(o v1alpha1.Observing) string {
	return fmt.Sprintf("the fleet only looks since it was %s, and does nothing in any cluster; to see what it would do, and let it: hanse resume", strings.ToLower(string(o.Reason)))
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
	if kv, ok := v.Get(v1alpha1.KeyBundles + g.Bundle); ok && json.Unmarshal(kv.Value, &b) == nil && string(b.UID) == g.BundleUID {
		return written(v1alpha1.KeyBundleRevisions + v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation))
	}
	return written(v1alpha1.KeyTombstones + g.BundleUID)
}

// Prospect is what each cluster would do with what it is granted now, by the fleet's works.
func Prospect(v *store.View, works []v1alpha1.Work) v1alpha1.Prospect {
	o, yes := Observing(v)
	e := v.Epoch()
	p := v1alpha1.Prospect{Observing: yes, Reason: o.Reason, Since: o.Since, Epoch: e.Number, From: uint64(e.From()), Clusters: []v1alpha1.ClusterProspect{}}
	member := map[string]bool{}
	for _, m := range v.Members() {
		member[m.Cluster] = true
	}
	for _, kv := range v.List(v1alpha1.KeyClusters) {
		name := kv.Key[len(v1alpha1.KeyClusters):]
		cp := v1alpha1.ClusterProspect{Name: name, Member: member[name]}
		for _, w := range works {
			if w.Spec.Cluster == name {
				cp.Bundles = append(cp.Bundles, prospectOf(w))
			}
		}
		p.Clusters = append(p.Clusters, cp)
	}
	return p
}

// prospectOf is what a cluster would do with one bundle, by what its member found when it looked.
func prospectOf(w v1alpha1.Work) v1alpha1.BundleProspect {
	b := v1alpha1.BundleProspect{Bundle: w.Spec.Bundle, Runs: w.Status.Applied, Granted: w.Spec.Granted, Would: v1alpha1.WouldUnknown}
	if f := w.Status.Foreseen; f != nil {
		b.Changes, b.Deletions, b.Would = f.Changes, f.Deletions, v1alpha1.WouldChange
		if f.Changes == 0 && f.Deletions == 0 {
			b.Would = v1alpha1.WouldKeep
		}
	}
	switch {
	case w.Status.Conditions[0].Reason == v1alpha1.ReasonOldGrant:
		b.Would = v1alpha1.WouldWait
	case w.Spec.Granted == "" && w.Spec.Wanted != "":
		b.Would = v1alpha1.WouldGrant
	}
	return b
}
