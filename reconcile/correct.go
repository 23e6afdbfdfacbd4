package reconcile

import (
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// takeCorrection has what a person ordered to be put right applied, not only looked at. An order is carried out once: the inventory
// keeps which one was last, and what is not behind it is one that came back.
func (b *bundle) takeCorrection() {
	order := b.grant.Correct
	if !order.Holds(time.Now()) || order.Number <= max(b.inv.corrected, b.correcting) {
		return
	}
	b.correcting = order.Number
	for _, o := range b.objects {
		if o.correct = o.mapped && isOf(order, o.ref()); o.correct { // what only an order before this one named is no longer
			o.todo = restore
		}
	}
	b.logger.Info("correcting what a person named", "number", order.Number)
}

// corrects says that an object is to be put right by the order that the grant has, which may have ended, or been replaced, since the object
// was taken into one.
func (b *bundle) corrects(o *object) bool {
	order := b.grant.Correct
	return o.correct && order.Number == b.correcting && order.Holds(time.Now())
}

// endCorrection notes that an order was carried out, once nothing of it is left to do.
func (b *bundle) endCorrection() {
	if b.correcting > 0 && !slices.ContainsFunc(b.objects, func(o *object) bool { return o.correct }) {
		b.noteCorrected(b.correcting)
	}
}

func (b *bundle) noteCorrected(number int64) {
	if number > b.inv.corrected {
		b.inv.corrected, b.unsaved = number, true
	}
}

// isOf says that an order is about an object.
func isOf(order v1alpha1.Correction, ref v1alpha1.ObjectRef) bool {
	names := func(in v1alpha1.CorrectionIn) bool {
		return slices.ContainsFunc(in.Objects, func(named v1alpha1.ObjectRef) bool { return plan.SameObject(named, ref) })
	}
	return len(order.In) == 0 || slices.ContainsFunc(order.In, names)
}
