package epoch

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Prospect is what each cluster that only looks would do with what it is granted now, by the fleet's works.
func Prospect(v *store.View, works []v1alpha1.Work) v1alpha1.Prospect {
	looking := Looking(v)
	o, e := newest(looking), v.Epoch()
	p := v1alpha1.Prospect{
		Observing: len(looking) > 0, Reason: o.Reason, Since: o.Since, Revision: uint64(v.Revision()), Epoch: e.Number, From: uint64(e.From()),
		Clusters: []v1alpha1.ClusterProspect{},
	}
	for _, kv := range v.List(v1alpha1.KeyClusters) {
		if name := kv.Key[len(v1alpha1.KeyClusters):]; !Looks(v, name) {
			p.Acting = append(p.Acting, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(looking)) {
		c := v1alpha1.ClusterProspect{Name: name, Member: len(membersOf(v, name)) > 0}
		for _, w := range works {
			if w.Spec.Cluster == name {
				c.Bundles = append(c.Bundles, prospectOf(w))
			}
		}
		c.Digest = digest(c)
		p.Clusters = append(p.Clusters, c)
	}
	return p
}

func digest(c v1alpha1.ClusterProspect) string {
	text, _ := json.Marshal(c) // texts and numbers
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:8])
}

// prospectOf is what a cluster would do with one bundle, by what its member found when it looked.
func prospectOf(w v1alpha1.Work) v1alpha1.BundleProspect {
	b := v1alpha1.BundleProspect{Bundle: w.Spec.Bundle, Runs: w.Status.Applied, Granted: w.Spec.Granted, Wanted: w.Spec.Wanted, Would: v1alpha1.WouldUnknown}
	if f := w.Status.Foreseen; f != nil {
		b.Changes, b.Deletions, b.Would = f.Changes, f.Deletions, v1alpha1.WouldChange
		if f.Changes == 0 && f.Deletions == 0 {
			b.Would = v1alpha1.WouldKeep
		}
	}
	switch {
	case w.Spec.Wanted == "":
		b.Would = v1alpha1.WouldRemove
	case w.Status.Conditions[0].Reason == v1alpha1.ReasonOldGrant:
		b.Would = v1alpha1.WouldWait
	case w.Spec.Granted != w.Spec.Wanted:
		b.Would = v1alpha1.WouldGrant
	}
	return b
}

// Go is a person's go for what a prospect shows: for the clusters that are named, or for all that have a member. One that has
// none goes on looking when it comes back, until it is resumed, too: what it would do then nobody has seen.
func Go(p v1alpha1.Prospect, named ...string) v1alpha1.ResumeRequest {
	ask := v1alpha1.ResumeRequest{Revision: p.Revision, Clusters: map[string]string{}}
	for _, c := range p.Clusters {
		if c.Member && len(named) == 0 || slices.Contains(named, c.Name) {
			ask.Clusters[c.Name] = c.Digest
		}
	}
	return ask
}

// Resume lets clusters act again, if that does what was shown. It is refused with a Refusal when what would happen in one of
// them has changed since, or when a cluster has no member. The transaction holds only while nothing that a prospect is made
// from changes in the log; after a conflict, ask again.
func Resume(v *store.View, works []v1alpha1.Work, ask v1alpha1.ResumeRequest, who v1alpha1.Resumption) (store.Txn, error) {
	now := map[string]v1alpha1.ClusterProspect{}
	for _, c := range Prospect(v, works).Clusters {
		now[c.Name] = c
	}
	txn := store.Txn{}
	for _, name := range slices.Sorted(maps.Keys(ask.Clusters)) {
		c, looks := now[name]
		_, known := v.Get(v1alpha1.KeyClusters + name)
		switch {
		case !looks && !known:
			return txn, Refuse("the fleet has no cluster %s; see what there is: hanse status", name)
		case !looks:
			continue // it acts already
		case !c.Member:
			return txn, Refuse("%s has no member that could say what would happen there; let it join again first: hanse token create --cluster %s", name, name)
		case c.Digest != ask.Clusters[name]:
			return txn, Refuse("what would happen in %s has changed since it was shown at revision %d; nothing was resumed; look again: hanse resume --show %s", name, ask.Revision, name)
		}
		as, op, err := resumed(v, name, who)
		if err != nil {
			return txn, err
		}
		txn.If, txn.Then = append(txn.If, as), append(txn.Then, op)
	}
	for _, prefix := range slices.Concat(v1alpha1.RolledOutPrefixes, []string{v1alpha1.KeyRecipientGroups, v1alpha1.KeyGrants, v1alpha1.KeyTombstones, v1alpha1.KeyClusters, store.KeyMembers}) {
		txn.If = append(txn.If, store.PrefixUnchanged(prefix, v.Revision()))
	}
	return txn, nil
}

func resumed(v *store.View, cluster string, who v1alpha1.Resumption) (store.Condition, store.Op, error) {
	kv, _ := v.Get(v1alpha1.KeyObserving + cluster)
	before := read(kv)
	after := before
	after.Resumed = &who
	op, err := law.Amend(kv, before, after)
	return store.KeyAt(kv.Key, kv.Modified), op, err
}
