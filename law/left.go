package law

import (
	"encoding/json"
	"iter"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// gone says what became of one of which something may be left, by the prefix of its key.
var gone = map[string]string{v1alpha1.KeyRecipientGroups: "deleted", v1alpha1.KeyClusters: "removed"}

// Anew refuses to make a group or a cluster under the name of one of which something is left.
func Anew(v *store.View, key string) error {
	prefix, _ := splitKey(key)
	for first := range leavings(v, key) {
		return &store.Forbidden{Reason: Thing(key) + " was " + gone[prefix] + ", and " + Thing(first.Key) + " is still to be forgotten; that takes seconds: try again then"}
	}
	return nil
}

// Leavings are the ops that delete what the log still has of a group or a cluster that is not there any more: what was told of the group's keys, what the cluster was
// granted, and that deleted bundles wait for it. That may be more than one transaction takes, so it does not go in the one that took the thing itself away; the leader
// deletes it then. Until it has there is no other one of the name, so what says nothing but the name is of the one that is there, or of none.
func Leavings(v *store.View, key string) []store.Op { return slices.Collect(leavings(v, key)) }

// leavings are Leavings one by one: whether there are any at all, every member asks with each join, and there may be thousands.
func leavings(v *store.View, key string) iter.Seq[store.Op] {
	prefix, name := splitKey(key)
	switch {
	case v.Has(key):
	case prefix == v1alpha1.KeyRecipientGroups:
		return leftOfGroup(v, name)
	case prefix == v1alpha1.KeyClusters:
		return leftOfCluster(v, name)
	}
	return func(func(store.Op) bool) {}
}

func leftOfGroup(v *store.View, name string) iter.Seq[store.Op] {
	return func(yield func(store.Op) bool) {
		for kv := range v.Iterate(v1alpha1.KeySealings, "") {
			if group, ok := ToldOf(kv); ok && group == name && !yield(store.Delete(kv.Key)) {
				return
			}
		}
	}
}

func leftOfCluster(v *store.View, cluster string) iter.Seq[store.Op] {
	return func(yield func(store.Op) bool) {
		for kv := range v.Iterate(v1alpha1.KeyGrants+cluster+"/", "") {
			if !yield(store.Delete(kv.Key)) {
				return
			}
		}
		for kv := range v.Iterate(v1alpha1.KeyTombstones, "") {
			if op, changed, err := Strike(kv, cluster); err == nil && changed && !yield(op) {
				return
			}
		}
	}
}

// ToldOf is the group that something is told of, though the rest of that cannot be read.
func ToldOf(sealing store.KV) (group string, ok bool) {
	var s struct {
		Group string `json:"group"`
	}
	err := json.Unmarshal(sealing.Value, &s)
	return s.Group, err == nil
}

// Standing says by its key that a grant is one of a cluster that is there.
func Standing(v *store.View, grant string) bool {
	cluster, _ := v1alpha1.CutGrantKey(grant)
	return v.Has(v1alpha1.KeyClusters + cluster)
}
