package decoded

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Objects reads the objects under one prefix, decoding each only once per change: a bundle may be megabytes. Of thousands only those
// are looked at that changed since the last look. All who read the same kind on a member share one.
type Objects[T any] struct {
	prefix string
	mu     sync.Mutex
	last   []Object[T]
	// garbled are the keys of values that cannot be decoded, and why. Nobody changes it.
	garbled map[string]error
	// at and of are the revision and the epoch that last is of; 0: nothing was read.
	at store.Revision
	of store.Epoch
}

// Object is one decoded value. It is shared: nobody changes it.
type Object[T any] struct {
	Key      string
	Modified store.Revision
	Value    *T
}

// New reads the objects under a prefix. It has read nothing yet.
func New[T any](prefix string) *Objects[T] {
	return &Objects[T]{prefix: prefix}
}

// List returns the objects of a view in the order of their keys; nobody changes what is returned. A value that cannot be
// decoded is an error: it was written by no version of ours, and a decision without it might be wrong.
func (o *Objects[T]) List(v *store.View) ([]Object[T], error) {
	all, garbled := o.Readable(v)
	for _, key := range slices.Sorted(maps.Keys(garbled)) {
		return nil, garbled[key]
	}
	return all, nil
}

// Readable is List for who decides about each object by itself: those that can be decoded, and the keys of those that cannot, and why. Nobody changes
// either.
func (o *Objects[T]) Readable(v *store.View) (all []Object[T], garbled map[string]error) {
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
func (o *Objects[T]) follows(v *store.View) bool {
	if o.at == 0 || o.of != v.Epoch() || v.Revision() < o.at || v.Revision()-o.at > store.Revision(len(o.last)+someRevisions) {
		return false
	}
	_, known := v.Changed(o.prefix, o.at)
	return known
}

// Same says that two looks at a kind found the very same.
func Same[T any](a, b []Object[T]) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// whole goes over all that a view has.
func (o *Objects[T]) whole(v *store.View) (all []Object[T], garbled map[string]error) {
	known := o.last
	all, garbled = make([]Object[T], 0, len(known)+1), map[string]error{}
	for kv := range v.Iterate(o.prefix, "") {
		for len(known) > 0 && known[0].Key < kv.Key {
			known = known[1:]
		}
		if len(known) > 0 && known[0].Key == kv.Key && known[0].Modified == kv.Modified {
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
func (o *Objects[T]) amended(v *store.View) (all []Object[T], garbled map[string]error) {
	changed, _ := v.Changed(o.prefix, o.at)
	keys := slices.Compact(slices.Sorted(changed))
	if len(keys) == 0 {
		return o.last, o.garbled
	}
	known := o.last
	all, garbled = make([]Object[T], 0, len(o.last)+len(keys)), maps.Clone(o.garbled)
	for _, key := range keys {
		i, there := slices.BinarySearchFunc(known, key, func(o Object[T], key string) int { return strings.Compare(o.Key, key) })
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

func decode[T any](kv store.KV) (Object[T], error) {
	obj := Object[T]{Key: kv.Key, Modified: kv.Modified, Value: new(T)}
	if err := json.Unmarshal(kv.Value, obj.Value); err != nil {
		return obj, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	return obj, nil
}

// Values are objects without where they lie.
func Values[T any](objects []Object[T]) (all []*T) {
	for _, o := range objects {
		all = append(all, o.Value)
	}
	return all
}

// At is the object of a key among those of a kind, nil when it is not there.
func At[T any](all []Object[T], key string) *T {
	i, there := slices.BinarySearchFunc(all, key, func(o Object[T], key string) int { return strings.Compare(o.Key, key) })
	if !there {
		return nil
	}
	return all[i].Value
}

// CannotBeRead is what is said of what no version of ours wrote.
func CannotBeRead(key string) error { return fmt.Errorf("%s cannot be read", law.Thing(key)) }
