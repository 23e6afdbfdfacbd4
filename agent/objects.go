package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// objects reads the objects under one prefix, decoding each only once per change: a bundle may be megabytes. Of thousands only those
// are looked at that changed since the last look. All who read the same kind on a member share one.
type objects[T any] struct {
	prefix string
	mu     sync.Mutex
	last   []object[T]
	// garbled are the keys of values that cannot be decoded, and why. Nobody changes it.
	garbled map[string]error
	// at and of are the revision and the epoch that last is of; 0: nothing was read.
	at store.Revision
	of store.Epoch
}

// object is one decoded value. It is shared: nobody changes it.
type object[T any] struct {
	key      string
	modified store.Revision
	value    *T
}

func newObjects[T any](prefix string) *objects[T] {
	return &objects[T]{prefix: prefix}
}

// list returns the objects of a view in the order of their keys; nobody changes what is returned. A value that cannot be
// decoded is an error: it was written by no version of ours, and a decision without it might be wrong.
func (o *objects[T]) list(v *store.View) ([]object[T], error) {
	all, garbled := o.readable(v)
	for _, key := range slices.Sorted(maps.Keys(garbled)) {
		return nil, garbled[key]
	}
	return all, nil
}

// readable is list for who decides about each object by itself: those that can be decoded, and the keys of those that cannot, and why. Nobody changes
// either.
func (o *objects[T]) readable(v *store.View) (all []object[T], garbled map[string]error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.follows(v) {
		all, garbled = o.amended(v)
	} else {
		all, garbled = o.whole(v)
	}
	if v.Revision() >= o.at { // of older views there are ever fewer
		o.last, o.garbled, o.at, o.of = all, garbled, v.Revision(), v.Epoch()
	}
	return all, garbled
}

// someRevisions are no more work to go over than a few objects.
const someRevisions = 64

// follows says whether what changed between what was read last and a view is known, and worth going over.
func (o *objects[T]) follows(v *store.View) bool {
	if o.at == 0 || o.of != v.Epoch() || v.Revision() < o.at || v.Revision()-o.at > store.Revision(len(o.last)+someRevisions) {
		return false
	}
	_, known := v.Changed(o.prefix, o.at)
	return known
}

// sameList says that two looks at a kind found the very same.
func sameList[T any](a, b []object[T]) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// whole goes over all that a view has.
func (o *objects[T]) whole(v *store.View) (all []object[T], garbled map[string]error) {
	known := o.last
	all, garbled = make([]object[T], 0, len(known)+1), map[string]error{}
	for kv := range v.Iterate(o.prefix, "") {
		for len(known) > 0 && known[0].key < kv.Key {
			known = known[1:]
		}
		if len(known) > 0 && known[0].key == kv.Key && known[0].modified == kv.Modified {
			all = append(all, known[0])
			continue
		}
		obj, err := decode[T](kv)
		if err != nil {
			garbled[kv.Key] = err
			continue
		}
		all = append(all, obj)
	}
	return all, garbled
}

// amended is what was read last, with what changed since as a view has it.
func (o *objects[T]) amended(v *store.View) (all []object[T], garbled map[string]error) {
	changed, _ := v.Changed(o.prefix, o.at)
	keys := slices.Compact(slices.Sorted(changed))
	if len(keys) == 0 {
		return o.last, o.garbled
	}
	known := o.last
	all, garbled = make([]object[T], 0, len(o.last)+len(keys)), maps.Clone(o.garbled)
	for _, key := range keys {
		i, there := slices.BinarySearchFunc(known, key, func(o object[T], key string) int { return strings.Compare(o.key, key) })
		all, known = append(all, known[:i]...), known[i:]
		if there {
			known = known[1:]
		}
		delete(garbled, key)
		kv, stays := v.Get(key)
		if !stays {
			continue
		}
		obj, err := decode[T](kv)
		if err != nil {
			garbled[key] = err
			continue
		}
		all = append(all, obj)
	}
	return append(all, known...), garbled
}

func decode[T any](kv store.KV) (object[T], error) {
	obj := object[T]{key: kv.Key, modified: kv.Modified, value: new(T)}
	if err := json.Unmarshal(kv.Value, obj.value); err != nil {
		return obj, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	return obj, nil
}

// values are objects without where they lie.
func values[T any](objects []object[T]) (all []*T) {
	for _, o := range objects {
		all = append(all, o.value)
	}
	return all
}

// decoded are the kinds that several of a member's loops read.
type decoded struct {
	bundles  *rolled
	groups   *objects[v1alpha1.RecipientGroup]
	clusters *objects[v1alpha1.Cluster]
	grants   *objects[v1alpha1.Grant]
	rollouts *objects[v1alpha1.Rollout]
	fleets   *objects[v1alpha1.Fleet]
	// revisions are those of secrets, and sealings what is known of how they are sealed.
	revisions *objects[v1alpha1.SealedRevision]
	sealings  *objects[v1alpha1.Sealing]
}

func newDecoded() decoded {
	groups := newObjects[v1alpha1.RecipientGroup](v1alpha1.KeyRecipientGroups)
	return decoded{
		bundles:  newRolled(groups),
		groups:   groups,
		clusters: newObjects[v1alpha1.Cluster](v1alpha1.KeyClusters),
		grants:   newObjects[v1alpha1.Grant](v1alpha1.KeyGrants),
		rollouts: newObjects[v1alpha1.Rollout](v1alpha1.KeyRollouts),
		fleets:   newObjects[v1alpha1.Fleet](v1alpha1.KeyFleets),

		revisions: newObjects[v1alpha1.SealedRevision](sealedRevisions),
		sealings:  newObjects[v1alpha1.Sealing](v1alpha1.KeySealings),
	}
}
