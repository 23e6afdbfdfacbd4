package kvstorage

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// GetList implements storage.Interface. A list is read from one state, so it is consistent; the pages after the
// first are read from the state of the first, as long as the history reaches back to it.
func (s *Storage) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	prefix, err := s.key(key, opts.Recursive)
	if err != nil {
		return err
	}
	at, from, err := storage.ValidateListOptions(prefix, s.APIObjectVersioner, opts)
	if err != nil {
		return err
	}
	keys, rev, err := s.keysAt(ctx, prefix, from, store.Revision(max(at, 0)), opts)
	if err != nil {
		return err
	}
	page, err := s.fill(ctx, keys, opts.Predicate, list)
	if err != nil {
		return err
	}
	next, remaining, err := storage.PrepareContinueToken(page.last, prefix, int64(rev), int64(len(keys)), page.more, opts)
	if err != nil {
		return err
	}
	return s.UpdateList(list, uint64(rev), next, remaining)
}

// keysAt is what lies under the prefix, not before from, and at which revision: exactly at, unless that is 0.
func (s *Storage) keysAt(ctx context.Context, prefix, from string, at store.Revision, opts storage.ListOptions) ([]store.KV, store.Revision, error) {
	if at > 0 {
		v, err := s.reached(ctx, at)
		if err != nil {
			return nil, 0, err
		}
		keys, err := s.past(v, prefix, from, at)
		if err != nil {
			return nil, 0, expiredList(err, opts, from, prefix)
		}
		return exactly(keys, prefix, opts.Recursive), at, nil
	}
	resourceVersion := opts.ResourceVersion
	if opts.Predicate.Continue != "" {
		resourceVersion = "" // a token that gave up its revision goes on from what is now
	}
	v, err := s.notOlderThan(ctx, resourceVersion)
	if err != nil {
		return nil, 0, err
	}
	var keys []store.KV
	for kv := range v.Iterate(prefix, from) {
		keys = append(keys, kv)
	}
	return exactly(keys, prefix, opts.Recursive), v.Revision(), nil
}

// exactly leaves only the key itself when it is not a prefix.
func exactly(keys []store.KV, prefix string, recursive bool) []store.KV {
	if recursive {
		return keys
	}
	if len(keys) > 0 && keys[0].Key == prefix {
		return keys[:1]
	}
	return nil
}

// page is how far a list went.
type page struct {
	last string // key that was looked at last
	more bool   // there are keys after it
}

// fill puts the objects that the predicate wants into the list, up to its limit.
func (s *Storage) fill(ctx context.Context, keys []store.KV, want storage.SelectionPredicate, list runtime.Object) (page, error) {
	items, err := itemsOf(list)
	if err != nil {
		return page{}, err
	}
	items.Set(reflect.MakeSlice(items.Type(), 0, min(len(keys), 256)))
	for i, kv := range keys {
		if ctx.Err() != nil {
			return page{}, storage.NewTimeoutError(kv.Key, ctx.Err().Error())
		}
		if want.Limit > 0 && int64(items.Len()) >= want.Limit {
			return page{last: keys[i-1].Key, more: true}, nil
		}
		item := reflect.New(items.Type().Elem())
		obj, ok := item.Interface().(runtime.Object)
		if !ok {
			return page{}, fmt.Errorf("items of %T are no objects", list)
		}
		if err := s.decode(kv.Value, kv.Modified, obj); err != nil {
			return page{}, s.unreadable(kv.Key, err)
		}
		if matches(want, obj) {
			items.Set(reflect.Append(items, item.Elem()))
		}
	}
	return page{}, nil
}

func itemsOf(list runtime.Object) (reflect.Value, error) {
	ptr, err := meta.GetItemsPtr(list)
	if err != nil {
		return reflect.Value{}, err
	}
	items, err := conversion.EnforcePtr(ptr)
	if err != nil || items.Kind() != reflect.Slice {
		return reflect.Value{}, fmt.Errorf("items of %T are no slice: %w", list, err)
	}
	return items, nil
}

func matches(want storage.SelectionPredicate, obj runtime.Object) bool {
	if want.Empty() {
		return true
	}
	ok, err := want.Matches(obj)
	return ok && err == nil
}
