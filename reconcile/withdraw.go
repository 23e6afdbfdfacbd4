package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// withdrawal is how far a withdrawal is.
type withdrawal struct {
	begun bool
	steps [][]key
	step  int
	since time.Time
	empty bool // nothing of the bundle is left, and that is to be told
}

// pullOut removes the bundle from the cluster: every object that the inventory lists, in the order of deleting, then
// the inventory, then the fleet is told.
func (b *bundle) pullOut(ctx context.Context) error {
	if !b.withdraw.begun {
		if err := b.beginWithdrawal(ctx); err != nil {
			return err
		}
	}
	if b.phase != withdrawing {
		return nil
	}
	for !b.withdraw.empty && !b.mail.waiting() {
		if waits, err := b.withdrawStep(ctx); err != nil || waits {
			return err
		}
	}
	if !b.withdraw.empty {
		return nil
	}
	b.postWithdrawing()
	if err := b.s.withdrawn(ctx, b.name, b.grant.BundleUID); err != nil {
		return fmt.Errorf("tell that the bundle is withdrawn: %w", err)
	}
	b.phase = idle
	b.logger.Info("withdrawn")
	return nil
}

func (b *bundle) beginWithdrawal(ctx context.Context) error {
	if err := b.loadInventory(ctx, b.s.inventories.load); err != nil {
		return err
	}
	if b.damaged != "" {
		return errors.New(hinted("nothing is deleted: "+b.damaged, "; to give its objects up: "+giveUp(b.name)))
	}
	if b.refuseOld() {
		return nil
	}
	b.withdraw = withdrawal{begun: true, since: time.Now()}
	if b.have.head == "" || b.inv.bundleUID != b.grant.BundleUID {
		// Nothing of this bundle was ever applied here, or all of it is gone: the inventory is written before anything is, and removed after.
		b.logger.Warn("no inventory of the withdrawn bundle is there, or is left")
		if b.have.head == "" {
			if err := b.s.inventories.remove(ctx, b.have); err != nil { // chunks that no head speaks of
				return err
			}
		}
		b.withdraw.empty = true
		return nil
	}
	b.withdraw.steps = bySteps(b.inv.keys())
	b.leaving = b.newLeaving()
	b.leaving.waiting = map[key]lingering{}
	b.listen()
	b.watchKinds(ctx)
	return nil
}

// withdrawStep deletes the objects of this step and those before it that are still there. It says whether there is
// now something to wait for: an event, or b.leaving.next.
func (b *bundle) withdrawStep(ctx context.Context) (waits bool, err error) {
	w := &b.withdraw
	b.mail.changed() // whatever changed is looked at now
	var keys []key
	for _, k := range flatten(w.steps[:w.step+1]) {
		if _, listed := b.inv.entries[k]; listed {
			keys = append(keys, k)
		}
	}
	if err := b.erase(ctx, keys, b.policyOf()); err != nil {
		return false, err
	}
	last := w.step == len(w.steps)-1
	switch {
	case len(b.leaving.waiting) == 0 && last:
		return false, b.forgetInventory(ctx)
	case !last && (len(b.leaving.waiting) == 0 || time.Since(w.since) > b.s.timing.Patience):
		w.step, w.since = w.step+1, time.Now()
		return false, nil
	}
	b.leaving.next = time.Now().Add(b.leaving.retry.next())
	b.postWithdrawing()
	return true, b.save(ctx)
}

func (b *bundle) forgetInventory(ctx context.Context) error {
	if err := b.s.inventories.remove(ctx, b.have); err != nil {
		b.readAgain(err)
		return err
	}
	b.have, b.unsaved, b.withdraw.empty = stored{}, false, true
	b.s.watches.use(b.name, nil)
	return nil
}

func flatten(steps [][]key) []key {
	var out []key
	for _, keys := range steps {
		out = append(out, keys...)
	}
	return out
}
