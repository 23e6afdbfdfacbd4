package law

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// unsealed refuses that a group goes for which something is sealed: nobody could open it any more; or one that alone remembers who could read a value
// that is in use. What is known of how its past was sealed is nothing from then on, and the leader deletes it: it may be more than one transaction takes.
// Another group of its name counts its keys anew, so there is none before that is gone (Leavings).
func unsealed(v *store.View, group string) ([]store.Condition, []store.Op, error) {
	if sealed, unless := sealedFor(v, group); sealed != "" {
		return nil, nil, &store.Forbidden{Reason: fmt.Sprintf("%s is sealed for it, and nobody could open it any more; delete that first, or %s", sealed, unless)}
	}
	secret, reader, err := remembers(v, group)
	if err != nil {
		return nil, nil, err
	}
	if secret != "" {
		return nil, nil, &store.Forbidden{Reason: fmt.Sprintf("only it remembers that %s could read a value of secret %s that is in use for another group; seal other values, and delete it once they are everywhere (hanse secret readers %[2]s), or delete the secret", reader, secret)}
	}
	return []store.Condition{store.PrefixUnchanged(v1alpha1.KeyFleetSecrets, v.Revision())}, nil, nil
}

// remembers names a secret that is in use for another group, and who had a key of this one that opened its value and may not read for that one; ""
// when there is none. It counts as the ledger does, which lists who had keys by the groups that are there.
func remembers(v *store.View, group string) (secret, reader string, err error) {
	key := v1alpha1.KeyRecipientGroups + group
	kv, there := v.Get(key)
	if !there {
		return "", "", fmt.Errorf("%s is not there", Thing(key))
	}
	var g v1alpha1.RecipientGroup
	if json.Unmarshal(kv.Value, &g) != nil {
		return "", "", nil // it remembers nothing that anybody could read
	}
	had := slices.Clone(g.Status.Left)
	for _, w := range g.Status.Wraps {
		had = append(had, v1alpha1.FormerReader{Cluster: w.Cluster, Key: w.Key, Epoch: w.Epoch})
	}
	held, now := &heldGroups{}, map[string]v1alpha1.Readers{}
	for _, s := range secretsInUse(v) {
		for _, revision := range s.revisions() {
			epoch := s.knownSince(v, revision, group)
			if epoch == 0 {
				continue
			}
			of := groupOf(v, revision)
			if _, known := now[of]; !known {
				now[of] = held.readersOf(v, of)
			}
			i := slices.IndexFunc(had, func(r v1alpha1.FormerReader) bool { return r.Epoch >= epoch && !now[of].Reads(r.Cluster, r.Key) })
			if i >= 0 {
				return s.name, whoRead(had[i]), nil
			}
		}
	}
	return "", "", nil
}

// knownSince is the epoch of the first key of a group that opened one of the values of a revision for another one; 0: none did. Where nobody has told and
// another one confirmed it, each key of a group that the secret was for counts.
func (s *secretInUse) knownSince(v *store.View, revision, group string) (epoch int64) {
	told := SealingAt(v, revision)
	if told == nil || told.Witness == "" || len(told.Since) == 0 {
		if s.wasFor(v, group) {
			return 1
		}
		return 0
	}
	for _, since := range told.Since {
		if first, known := since[group]; known && (epoch == 0 || first < epoch) {
			epoch = first
		}
	}
	return epoch
}

// wasFor says that the log has the secret, or a deleted one of its name, as it was for a group.
func (s *secretInUse) wasFor(v *store.View, group string) bool {
	stored := v1alpha1.RolledOut{Kind: "FleetSecret", Name: s.name}
	for kv := range v.Iterate(v1alpha1.KeyBundleRevisions+stored.String()+"-", "") {
		var r v1alpha1.SealedRevision
		if json.Unmarshal(kv.Value, &r) == nil && r.Spec.Bundle == stored.String() && r.Group() == group {
			return true
		}
	}
	for kv := range v.Iterate(v1alpha1.KeyPasts+strings.Trim(v1alpha1.KeyFleetSecrets, "/")+"."+s.name+".", "") {
		var past v1alpha1.FleetSecret
		if json.Unmarshal(kv.Value, &past) == nil && past.Name == s.name && string(past.UID) != s.uid && past.Spec.Group == group {
			return true
		}
	}
	return false
}

// readersOf are who may read what is sealed for a group: nobody, when it is not there.
func (h *heldGroups) readersOf(v *store.View, group string) (r v1alpha1.Readers) {
	kv, _ := v.Get(v1alpha1.KeyRecipientGroups + group)
	var g v1alpha1.RecipientGroup
	if json.Unmarshal(kv.Value, &g) != nil {
		return r
	}
	r, _ = h.readers(v, &g.Spec) // a cluster that cannot be read reads nothing
	return r
}

func whoRead(r v1alpha1.FormerReader) string {
	switch {
	case r.Cluster != "":
		return "cluster " + r.Cluster
	case r.Key == "":
		return "a cluster or a recovery recipient that left long ago"
	}
	return "a recovery recipient"
}
