package kvstorage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/storage"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// The beginnings of these are the ones of kube-apiserver: there are clients that know them.
const (
	expiredRevision = "The resourceVersion for the provided list is too old: list again without it"
	expiredContinue = "The provided continue parameter is too old to display a consistent list result: list again from the beginning, or go on with the continue token in this answer, and what changed between the pages may be missing or double"
)

// past is what lay under the prefix, not before from, at a revision: the state of the view with every change since
// undone. The error is store.ErrCompacted when the history does not reach back to it.
func (s *Storage) past(v *store.View, prefix, from string, at store.Revision) ([]store.KV, error) {
	before, err := s.changedSince(v, prefix, at)
	if err != nil {
		return nil, err
	}
	var keys []store.KV
	for kv := range v.Iterate(prefix, from) {
		if _, changed := before[kv.Key]; !changed {
			keys = append(keys, kv)
		}
	}
	for key, kv := range before {
		if kv != nil && key >= from {
			keys = append(keys, *kv)
		}
	}
	slices.SortFunc(keys, func(a, b store.KV) int { return strings.Compare(a.Key, b.Key) })
	return keys, nil
}

// changedSince is each key that changed after a revision, up to the view's, as it was at that revision; nil when it
// was not there.
func (s *Storage) changedSince(v *store.View, prefix string, at store.Revision) (map[string]*store.KV, error) {
	if at == v.Revision() {
		return nil, nil
	}
	w, err := s.Store.Watch(prefix, at)
	if err != nil {
		return nil, err
	}
	before := map[string]*store.KV{}
	for reached := at; reached < v.Revision(); {
		batch, err := w.Next(context.Background()) // never waits: the view is ahead
		if err != nil {
			return nil, err
		}
		reached = batch.Revision
		for _, e := range batch.Events {
			if _, known := before[e.Key]; !known && reached <= v.Revision() {
				before[e.Key] = e.Prev
			}
		}
	}
	return before, nil
}

// expiredList makes a 410 of ErrCompacted. A page gets a token with which the list goes on from what is now.
func expiredList(err error, opts storage.ListOptions, from, prefix string) error {
	if !errors.Is(err, store.ErrCompacted) {
		return fmt.Errorf("list at an earlier revision: %w", err)
	}
	if opts.Predicate.Continue == "" {
		return apierrors.NewResourceExpired(expiredRevision)
	}
	token, err := storage.EncodeContinue(from, prefix, -1)
	if err != nil {
		return apierrors.NewResourceExpired(expiredRevision)
	}
	expired := apierrors.NewResourceExpired(expiredContinue)
	expired.ErrStatus.ListMeta.Continue = token
	return expired
}
