package reconcile

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// lease is our side of the Lease whose holder acts in this cluster.
//
// The holder renews it every RenewPeriod and stops acting when it could not for RenewDeadline. Another may take it
// once it saw it unchanged for LeaseDuration by its own clock: clocks are never compared between machines. The same
// member takes its own Lease back at once, because its data directory admits one process at a time.
type lease struct {
	client coordinationclient.LeaseInterface
	member string
	timing Timing

	// mine is the Lease as this member wrote it last; nil when it did not, or somebody else may have since.
	mine *coordinationv1.Lease
	// last is the version of another's Lease that was seen last, and when it was first seen.
	last   string
	lastAt time.Time
}

// attempt takes or renews the lease. It returns who holds it then; we do when that is our member.
func (l *lease) attempt(ctx context.Context) (holder string, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timing.RenewDeadline/2)
	defer cancel()
	if mine := l.mine; mine != nil {
		l.mine = nil
		switch renewed, err := l.client.Update(ctx, l.ours(mine), metav1.UpdateOptions{}); {
		case err == nil:
			l.mine = renewed
			return l.member, nil
		case !apierrors.IsConflict(err) && !apierrors.IsNotFound(err):
			return "", fmt.Errorf("write lease: %w", err)
		}
	}
	have, err := l.client.Get(ctx, LeaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		have, err = l.client.Create(ctx, l.ours(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: LeaseName, Namespace: Namespace}}), metav1.CreateOptions{})
		if err != nil {
			return "", fmt.Errorf("create lease: %w", err)
		}
		l.mine = have
		return holderOf(have), nil
	}
	if err != nil {
		return "", fmt.Errorf("read lease: %w", err)
	}
	if !l.free(have, time.Now()) {
		return holderOf(have), nil
	}
	if l.mine, err = l.client.Update(ctx, l.ours(have), metav1.UpdateOptions{}); err != nil {
		l.mine = nil
		return "", fmt.Errorf("write lease: %w", err)
	}
	return l.member, nil
}

// free says that the lease may be taken: it is ours, nobody's, or was not renewed for as long as it lasts.
func (l *lease) free(have *coordinationv1.Lease, now time.Time) bool {
	holder := holderOf(have)
	if holder == "" || holder == l.member {
		return true
	}
	if have.ResourceVersion != l.last {
		l.last, l.lastAt = have.ResourceVersion, now
	}
	lasts := l.timing.LeaseDuration
	if s := have.Spec.LeaseDurationSeconds; s != nil {
		lasts = max(lasts, time.Duration(*s)*time.Second)
	}
	return now.Sub(l.lastAt) > lasts
}

// ours is a copy of the lease that we hold from now on.
func (l *lease) ours(have *coordinationv1.Lease) *coordinationv1.Lease {
	mine, now := have.DeepCopy(), metav1.NowMicro()
	if holderOf(have) != l.member {
		transitions := int32(1)
		if have.Spec.LeaseTransitions != nil {
			transitions += *have.Spec.LeaseTransitions
		}
		mine.Spec.AcquireTime, mine.Spec.LeaseTransitions = &now, &transitions
	}
	seconds := max(int32(l.timing.LeaseDuration/time.Second), 1)
	mine.Spec.HolderIdentity, mine.Spec.RenewTime, mine.Spec.LeaseDurationSeconds = &l.member, &now, &seconds
	return mine
}

// keep renews the lease until it is lost or ctx ends; taken is when it was last written.
func (l *lease) keep(ctx context.Context, taken time.Time) (reason error) {
	for {
		if !pause.For(ctx, l.timing.RenewPeriod) {
			return ctx.Err()
		}
		began := time.Now()
		deadline, cancel := context.WithDeadline(ctx, taken.Add(l.timing.RenewDeadline))
		holder, err := l.attempt(deadline)
		cancel()
		switch {
		case err == nil && holder == l.member:
			taken = began
		case err == nil:
			return fmt.Errorf("the lease was taken by %q", holder)
		case time.Since(taken) > l.timing.RenewDeadline-l.timing.RenewPeriod:
			return err // the next attempt would come too late
		}
	}
}

// release lets another take the lease at once. Nobody may act for us any more.
func (l *lease) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.timing.RenewPeriod)
	defer cancel()
	have, err := l.client.Get(ctx, LeaseName, metav1.GetOptions{})
	if err != nil || holderOf(have) != l.member {
		return err
	}
	have.Spec.HolderIdentity = nil
	_, err = l.client.Update(ctx, have, metav1.UpdateOptions{})
	return err
}

func holderOf(l *coordinationv1.Lease) string {
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}
