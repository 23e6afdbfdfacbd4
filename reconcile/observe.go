package reconcile

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// observe finds out what carrying the grant out would do, and does nothing of it: what it asks of kube-apiserver are reads
// and dry runs.
func (b *bundle) observe(ctx context.Context) error {
	if len(b.mail.changed()) > 0 {
		b.lookSooner()
	}
	begun := time.Now()
	if begun.Before(b.lookAt) {
		return nil
	}
	if err := b.lookAtAll(ctx); err != nil {
		return err
	}
	b.lookLater(begun, time.Now())
	return nil
}

// lookShare bounds what looking asks of a cluster in which something changes all the time: the bundle is let be so many times as long as
// a look took.
const lookShare = 10

// lookLater says when the next look is due, after one.
func (b *bundle) lookLater(begun, ended time.Time) {
	b.looked, b.rest = ended, max(b.s.timing.LookLeast, lookShare*ended.Sub(begun))
	b.lookAt = ended.Add(b.s.timing.Look)
}

// lookSooner has a change looked at as soon as the last look allows.
func (b *bundle) lookSooner() {
	if rested := b.looked.Add(b.rest); rested.Before(b.lookAt) {
		b.lookAt = rested
	}
}

// lookAtAll finds out, and says, what carrying the grant out would do.
func (b *bundle) lookAtAll(ctx context.Context) error {
	if err := b.loadInventory(ctx, b.s.inventories.load); err != nil {
		return err
	}
	if b.refused = 0; b.isOlder(b.grant) {
		b.refused = b.grant.StoreRevision
		b.postOldGrant()
		return nil
	}
	f, err := b.foretell(ctx)
	if err != nil {
		return err
	}
	b.postObserving(f)
	return nil
}

// foretell counts what would be changed and deleted.
func (b *bundle) foretell(ctx context.Context) (f v1alpha1.Foresight, err error) {
	mine := b.inv.bundleUID == b.grant.BundleUID && b.damaged == ""
	if b.grant.Withdraw {
		if mine && b.policyOf() == v1alpha1.DeletionPrune {
			f.Deletions = b.goes(func(key) bool { return true })
		}
		return f, nil
	}
	if err := b.place(ctx, b.objects); err != nil {
		return f, err
	}
	b.watchKinds(ctx)
	var changes atomic.Int32
	errs := make([]error, len(b.objects))
	each(ctx, b.s, b.objects, func(i int, o *object) {
		differs, err := b.wouldChange(ctx, o)
		if errs[i] = err; differs {
			changes.Add(1)
		}
	})
	for _, err := range append(errs, ctx.Err()) {
		if err != nil {
			return f, err
		}
	}
	f.Changes = changes.Load()
	if mine && b.grant.Deletion == v1alpha1.DeletionPrune && len(b.grant.Objects) > 0 {
		f.Deletions = b.goes(func(k key) bool { return !b.isWanted(k) })
	}
	return f, nil
}

// goes counts the listed objects of some that would be deleted: those that are let go of stay.
func (b *bundle) goes(of func(key) bool) (n int32) {
	for k, e := range b.inv.entries {
		if of(k) && !e.orphaned {
			n++
		}
	}
	return n
}

// wouldChange says whether applying would make or change the object. What would be refused changes nothing.
func (b *bundle) wouldChange(ctx context.Context, o *object) (bool, error) {
	if !o.mapped {
		return o.problem.reason == "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.s.timing.Request)
	defer cancel()
	live, err := b.resource(o).Get(ctx, o.key.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, err
	}
	out := b.check(ctx, o, live)
	if out.err != nil && isAway(out.err) {
		return false, out.err
	}
	return out.differs, nil
}

func (b *bundle) postObserving(f v1alpha1.Foresight) {
	st := v1alpha1.WorkStatus{Grant: b.grant.At, Applied: b.runs, Objects: int32(len(b.objects)), Health: v1alpha1.HealthUnknown, Foreseen: &f}
	if b.runs == b.grant.Revision { // then what differs is drift
		st.Drifted = f.Changes
	}
	reason, why := reasonObserving, "the cluster only looks"
	if b.grant.Suspended != "" {
		reason, why = reasonSuspended, b.grant.Suspended
	}
	b.s.board.post(b.name, b.grant.BundleUID, st, ready{metav1.ConditionUnknown, reason, clip(fmt.Sprintf(
		"%s: %s would be changed, %d deleted", why, v1alpha1.Counted(f.Changes, "1 object", "%d objects"), f.Deletions), maxMessage)})
}
