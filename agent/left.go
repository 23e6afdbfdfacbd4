package agent

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// clear deletes what is left of groups that are not there any more (law.Left), also while no cluster acts: nobody goes by it, and who makes another one of the
// name waits for it. It returns the state to go on from.
func (l *leader) clear(ctx context.Context, v *store.View) (*store.View, error) {
	left := l.leftBy(v)
	if len(left) == 0 {
		return v, nil
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(left)) {
		errs = append(errs, l.writeSome(ctx, []store.Condition{store.KeyAbsent(key)}, left[key]))
	}
	return l.store.View(), errors.Join(errs...)
}

// leftBy are the ops that delete what is left, by the key of what it is of.
func (l *leader) leftBy(v *store.View) map[string][]store.Op {
	left := map[string][]store.Op{}
	sealings, _ := l.decoded.Sealings.Readable(v)
	for _, s := range sealings {
		if key := v1alpha1.KeyRecipientGroups + s.Value.Group; !isThere(v, key) {
			left[key] = append(left[key], store.Delete(s.Key))
		}
	}
	return left
}

func isThere(v *store.View, key string) bool {
	_, there := v.Modified(key)
	return there
}
