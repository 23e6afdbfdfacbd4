package law

import (
	"encoding/json"
	"maps"
	"sync"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Kept is what was read of groups and clusters for one transaction, kept for the next: of a group of a hundred that is half a megabyte, and none of it changes
// while what is sealed for it is sealed again. What lies at a key since a revision is the same in each view of an epoch, so it decides nothing. The zero value
// has read nothing; nil keeps nothing. It is of one store.
type Kept struct {
	mu       sync.Mutex
	epoch    store.Epoch
	groups   map[string]kept[v1alpha1.RecipientGroup]
	clusters map[string]kept[v1alpha1.Candidate]
}

// kept is what a value is read as, by the revision that wrote it; !sound: it cannot be read. Nobody changes it.
type kept[T any] struct {
	at    store.Revision
	value T
	sound bool
}

// group is a group by its name.
func (k *Kept) group(v *store.View, name string) (g v1alpha1.RecipientGroup, sound bool) {
	key := v1alpha1.KeyRecipientGroups + name
	read := func() (one kept[v1alpha1.RecipientGroup]) {
		kv, _ := v.Get(key)
		one.at, one.sound = kv.Modified, json.Unmarshal(kv.Value, &one.value) == nil
		return one
	}
	if k == nil {
		one := read()
		return one.value, one.sound
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin(v)
	at, there := v.Modified(key)
	if !there { // anybody may ask for any name
		return g, false
	}
	one, known := k.groups[name]
	if !known || one.at != at {
		one = read()
		maps.DeleteFunc(k.groups, func(name string, _ kept[v1alpha1.RecipientGroup]) bool {
			return !v.Has(v1alpha1.KeyRecipientGroups + name)
		})
		k.groups[name] = one
	}
	return one.value, one.sound
}

// candidates are all clusters, as groups look at them; !sound: one cannot be read, and none behind it is looked at.
func (k *Kept) candidates(v *store.View) (all []v1alpha1.Candidate, sound bool) {
	if k == nil {
		k = &Kept{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin(v)
	sound = true
	for kv := range v.Iterate(v1alpha1.KeyClusters, "") {
		one, known := k.clusters[kv.Key]
		if !known || one.at != kv.Modified {
			one = candidateOf(kv)
			k.clusters[kv.Key] = one
		}
		if all, sound = append(all, one.value), one.sound; !sound {
			break
		}
	}
	if len(all) < len(k.clusters) { // some are gone
		maps.DeleteFunc(k.clusters, func(key string, _ kept[v1alpha1.Candidate]) bool { return !v.Has(key) })
	}
	return all, sound
}

func candidateOf(kv store.KV) (one kept[v1alpha1.Candidate]) {
	var c v1alpha1.Cluster
	one.at, one.sound = kv.Modified, json.Unmarshal(kv.Value, &c) == nil
	_, c.Name = splitKey(kv.Key)
	one.value = v1alpha1.CandidateOf(&c)
	return one
}

// begin forgets all when a view is of another epoch. It needs the lock.
func (k *Kept) begin(v *store.View) {
	if k.groups == nil || k.epoch != v.Epoch() {
		k.epoch, k.groups, k.clusters = v.Epoch(), map[string]kept[v1alpha1.RecipientGroup]{}, map[string]kept[v1alpha1.Candidate]{}
	}
}
