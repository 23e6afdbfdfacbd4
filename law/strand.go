package law

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// strands refuses a change of a group, of a cluster, or of the fleet's recovery recipients, after which nobody could open what is sealed for a group: none that holds its key
// may read any more, be it a cluster or a recovery recipient.
func strands(v *store.View, c Change) error {
	for kv := range v.Iterate(v1alpha1.KeyRecipientGroups, "") {
		var before v1alpha1.RecipientGroup
		if c.Key != kv.Key && strings.HasPrefix(c.Key, v1alpha1.KeyRecipientGroups) || json.Unmarshal(kv.Value, &before) != nil {
			continue
		}
		var after v1alpha1.RecipientGroup
		next := kv.Value
		if c.Key == kv.Key {
			next = c.After
		}
		if json.Unmarshal(next, &after) != nil || !keptBy(v, &before.Spec, before.Status, Change{}) || keptBy(v, &after.Spec, before.Status, c) {
			continue
		}
		if sealed, _ := sealedFor(v, strings.TrimPrefix(kv.Key, v1alpha1.KeyRecipientGroups)); sealed != "" {
			return &store.Forbidden{Reason: fmt.Sprintf("nobody who may read would hold the key of %s, for which %s is sealed; have another cluster hold it first (hanse get recipientgroups), name a recovery recipient, or delete what is sealed",
				Thing(kv.Key), sealed)}
		}
	}
	return nil
}

// Sealed is a group that something is sealed for, and who opens that.
type Sealed struct {
	Group string
	// Secrets are sealed for it, as they are, or as clusters keep them or may get them again.
	Secrets []string
	// Openers hold a key of the group, and may read.
	Openers []Opener
}

// Opener is a cluster, or a recovery recipient without one, and the ID of its own recipient.
type Opener struct{ Cluster, Key string }

// Only says that nobody opens it but a cluster.
func (s Sealed) Only(cluster string) bool { return only(s.Openers, cluster) }

func only(openers []Opener, cluster string) bool {
	return len(openers) > 0 && !slices.ContainsFunc(openers, func(o Opener) bool { return o.Cluster != cluster })
}

// SealedGroups are those that something is sealed for, in the order of their names. One that cannot be read is left out.
func SealedGroups(v *store.View) (all []Sealed) {
	secrets := map[string][]string{}
	for _, s := range secretsInUse(v) {
		for _, revision := range s.revisions() {
			if group := groupOf(v, revision); !slices.Contains(secrets[group], s.name) {
				secrets[group] = append(secrets[group], s.name)
			}
		}
	}
	for _, group := range slices.Sorted(maps.Keys(secrets)) {
		if openers, ok := openersOf(v, group); ok {
			all = append(all, Sealed{group, secrets[group], openers})
		}
	}
	return all
}

// openersOf a group; !ok: it cannot be read.
func openersOf(v *store.View, group string) (openers []Opener, ok bool) {
	var g v1alpha1.RecipientGroup
	kv, _ := v.Get(v1alpha1.KeyRecipientGroups + group)
	if json.Unmarshal(kv.Value, &g) != nil {
		return nil, false
	}
	reads, ok := mayRead(v, &g.Spec, Change{})
	if !ok {
		return nil, false
	}
	for _, w := range g.Status.Wraps {
		if o := (Opener{w.Cluster, w.Key}); w.Opens() && reads(w.Cluster, w.Key) && !slices.Contains(openers, o) {
			openers = append(openers, o)
		}
	}
	return openers, true
}

// OnlyOpener names a secret that nobody opens but the member of a cluster, with the key of its own that it has now, as it is or as clusters keep it or may
// get it again, and the group that it is sealed for then; "" when there is none.
func OnlyOpener(v *store.View, cluster string) (secret, group string) {
	for _, s := range SealedGroups(v) {
		if s.Only(cluster) {
			return s.Secrets[0], s.Group
		}
	}
	return "", ""
}

// OnlyOpenerBy are the prefixes that OnlyOpener has its answer from: as long as nothing is written there, a cluster that is the only opener of no
// secret does not become that of one.
func OnlyOpenerBy(v *store.View, cluster string) []string {
	opens, alone := false, false
	for kv := range v.Iterate(v1alpha1.KeyRecipientGroups, "") {
		openers, _ := openersOf(v, strings.TrimPrefix(kv.Key, v1alpha1.KeyRecipientGroups))
		opens = opens || slices.ContainsFunc(openers, func(o Opener) bool { return o.Cluster == cluster })
		alone = alone || only(openers, cluster)
	}
	prefixes := []string{v1alpha1.KeyRecipientGroups}
	if opens {
		prefixes = append(prefixes, v1alpha1.KeyClusters, v1alpha1.KeyFleets)
	}
	if alone { // all is well as long as nothing is sealed for that one
		prefixes = append(prefixes, v1alpha1.KeyFleetSecrets)
	}
	return prefixes
}

// changesReaders says that, after the op, others may read what is sealed for a group. A transaction has one such at most: each is judged by what
// was before.
func (w write) changesReaders() bool {
	return w.before != nil && !w.ofItself && (w.prefix == v1alpha1.KeyClusters || w.prefix == v1alpha1.KeyRecipientGroups || w.prefix == v1alpha1.KeyFleets)
}

// keptBy says whether somebody holds a key of a group, and may read after a change. The wraps of the key before are there only as long as
// no second cluster has opened the present one, and who has one makes the next key from that: else the maker of a key that nobody can open
// could not be removed.
func keptBy(v *store.View, s *v1alpha1.RecipientGroupSpec, status v1alpha1.RecipientGroupStatus, change Change) bool {
	reads, ok := mayRead(v, s, change)
	if !ok {
		return true // whoever reads the spec says what is wrong
	}
	return slices.ContainsFunc(status.Wraps, func(w v1alpha1.KeyWrap) bool { return w.Opens() && reads(w.Cluster, w.Key) })
}

// mayRead tells who may read what is sealed for a group after a change: a cluster, or a recovery recipient without one, by its own key. Of the clusters it
// reads only those that it is asked about. !ok: it cannot be said.
func mayRead(v *store.View, s *v1alpha1.RecipientGroupSpec, change Change) (reads func(cluster, key string) bool, ok bool) {
	fleet, ok := fleetAfter(v, change)
	r, err := s.Readers(&fleet, nil)
	if err != nil || !ok {
		return nil, false
	}
	return func(cluster, key string) bool {
		if cluster == "" {
			return r.Reads("", key)
		}
		kv, _ := v.Get(v1alpha1.KeyClusters + cluster)
		if kv.Key != "" && kv.Key == change.Key {
			kv.Value = change.After
		}
		one := candidateOf(kv)
		return one.sound && r.Admits(one.value) && one.value.Key == key
	}, true
}
