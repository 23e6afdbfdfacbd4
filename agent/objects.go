package agent

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// objects reads the objects under one prefix, decoding each only once per change: a bundle may be megabytes. All who read the
// same kind on a member share one.
type objects[T any] struct {
	prefix string
	mu     sync.Mutex
	last   []object[T]
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
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.last
	all := make([]object[T], 0, len(known)+1)
	for kv := range v.Iterate(o.prefix, "") {
		for len(known) > 0 && known[0].key < kv.Key {
			known = known[1:]
		}
		if len(known) > 0 && known[0].key == kv.Key && known[0].modified == kv.Modified {
			all = append(all, known[0])
			continue
		}
		obj := object[T]{key: kv.Key, modified: kv.Modified, value: new(T)}
		if err := json.Unmarshal(kv.Value, obj.value); err != nil {
			return nil, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
		}
		all = append(all, obj)
	}
	o.last = all
	return all, nil
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
	bundles  *objects[v1alpha1.Bundle]
	clusters *objects[v1alpha1.Cluster]
	grants   *objects[v1alpha1.Grant]
	rollouts *objects[v1alpha1.Rollout]
	fleets   *objects[v1alpha1.Fleet]
}

// rolloutPolicy is what the fleet says of rollouts, resolved.
func (d decoded) rolloutPolicy(v *store.View) (v1alpha1.FleetRollout, error) {
	fleets, err := d.fleets.list(v)
	if err != nil {
		return v1alpha1.FleetRollout{}, err
	}
	policy := (*v1alpha1.FleetRollout)(nil).Resolved()
	for _, f := range fleets {
		policy = f.value.Spec.Rollout.Resolved()
	}
	return policy, nil
}

func newDecoded() decoded {
	return decoded{
		bundles:  newObjects[v1alpha1.Bundle](v1alpha1.KeyBundles),
		clusters: newObjects[v1alpha1.Cluster](v1alpha1.KeyClusters),
		grants:   newObjects[v1alpha1.Grant](v1alpha1.KeyGrants),
		rollouts: newObjects[v1alpha1.Rollout](v1alpha1.KeyRollouts),
		fleets:   newObjects[v1alpha1.Fleet](v1alpha1.KeyFleets),
	}
}
