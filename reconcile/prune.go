package reconcile

import (
	"context"
	"time"
)

// prune deletes what the inventory lists and the bundle no longer has.
func (b *bundle) prune(ctx context.Context) error {
	left := b.leftovers()
	if len(left) == 0 {
		b.leaving = b.newLeaving()
		return nil
	}
	if b.leaving.next.After(time.Now()) {
		return nil
	}
	if b.leaving.waiting == nil {
		b.leaving.waiting = map[key]lingering{}
		b.logger.Info("pruning", logRevision, b.grant.Revision, logCount, len(left))
	}
	for _, keys := range bySteps(left) {
		if err := b.erase(ctx, keys, b.grant.Deletion); err != nil {
			return err
		}
	}
	b.leaving.next = time.Now().Add(b.leaving.retry.next())
	if len(b.leaving.waiting) == 0 {
		b.watchKinds(ctx)
	}
	return nil
}

// leftovers are the objects to prune. There are none in any doubt: an inventory that was missing, damaged or another
// bundle's, a bundle without objects, or one that the cluster did not take as a whole, so that what seems to have left
// the bundle may be what still does the work.
func (b *bundle) leftovers() []key {
	if b.damaged != "" || b.adopted || len(b.grant.Objects) == 0 {
		return nil
	}
	for _, o := range b.objects {
		if o.problem.reason != "" || o.todo != nothing && o.todo != putBack {
			return nil
		}
	}
	var left []key
	for _, k := range b.inv.keys() {
		if !b.isWanted(k) {
			left = append(left, k)
		}
	}
	return left
}

// bySteps sorts keys into the steps of deleting.
func bySteps(keys []key) [][]key {
	custom := customKinds(keys)
	out := make([][]key, steps)
	for _, k := range keys {
		s := stepOf(k.GroupKind, custom)
		out[s] = append(out[s], k)
	}
	return out
}
