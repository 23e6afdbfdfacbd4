package reconcile

import (
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// takeCorrection has what a person ordered to be put right applied, not only looked at. An order is carried out once: the inventory
// keeps which one was last.
func (b *bundle) takeCorrection() {
	order := b.grant.Correct
	if order.ID == "" || order.ID == b.inv.corrected || order.ID == b.correcting {
		return
	}
	b.correcting = order.ID
	for _, o := range b.objects {
		if o.mapped && isOf(order, o.ref()) {
			o.correct, o.todo = true, restore
		}
	}
	b.logger.Info("correcting what a person named", logCount, len(order.Objects))
}

// endCorrection notes that an order was carried out, once nothing of it is left to do.
func (b *bundle) endCorrection() {
	if b.correcting != "" && !slices.ContainsFunc(b.objects, func(o *object) bool { return o.correct }) {
		b.noteCorrected(b.correcting)
	}
}

func (b *bundle) noteCorrected(id string) {
	if id != "" && b.inv.corrected != id {
		b.inv.corrected, b.unsaved = id, true
	}
}

// isOf says that an order is about an object.
func isOf(order v1alpha1.Correction, ref v1alpha1.ObjectRef) bool {
	return len(order.Objects) == 0 || slices.ContainsFunc(order.Objects, func(named v1alpha1.ObjectRef) bool { return plan.SameObject(named, ref) })
}
