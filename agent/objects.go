package agent

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// objects reads the objects under one prefix, decoding each only once per change: a bundle may be megabytes.
type objects[T any] struct {
	prefix string
	mu     sync.Mutex
	cache  map[string]object[T]
}

// object is one decoded value. It is shared: nobody changes it.
type object[T any] struct {
	key      string
	modified store.Revision
	value    *T
}

func newObjects[T any](prefix string) *objects[T] {
	return &objects[T]{prefix: prefix, cache: map[string]object[T]{}}
}

// list returns the objects of a view in the order of their keys. A value that cannot be decoded is an error: it was
// written by no version of ours, and a decision without it might be wrong.
func (o *objects[T]) list(v *store.View) ([]object[T], error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kvs := v.List(o.prefix)
	all := make([]object[T], 0, len(kvs))
	cache := make(map[string]object[T], len(kvs))
	for _, kv := range kvs {
		obj, ok := o.cache[kv.Key]
		if !ok || obj.modified != kv.Modified {
			obj = object[T]{key: kv.Key, modified: kv.Modified, value: new(T)}
			if err := json.Unmarshal(kv.Value, obj.value); err != nil {
				return nil, fmt.Errorf("read %s: %w", kv.Key, err)
			}
		}
		cache[kv.Key] = obj
		all = append(all, obj)
	}
	o.cache = cache
	return all, nil
}
