package agent

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// writeStatuses writes what the leader decides about bundles, rollouts and clusters. These are decisions, made at a
// limited rate, so that `kubectl wait` works; what members observe is in Work.
func (l *leader) writeStatuses(ctx context.Context, s scene) error {
	var errs []error
	for _, b := range s.bundles {
		next := s.BundleStatus(b.value)
		errs = append(errs, writeStatus(ctx, l, s, b, b.value.Status, next, func(o *v1alpha1.Bundle) { o.Status = next }))
	}
	for _, r := range s.rollouts {
		next := s.RolloutStatus(r.value)
		errs = append(errs, writeStatus(ctx, l, s, r, r.value.Status, next, func(o *v1alpha1.Rollout) { o.Status = next }))
	}
	voters := l.node.Status().Voters
	for _, c := range s.clusters {
		next := s.ClusterStatus(c.value, slices.Contains(voters, store.MemberID(c.value.Status.Incarnation)))
		errs = append(errs, writeStatus(ctx, l, s, c, c.value.Status, next, func(o *v1alpha1.Cluster) { o.Status = next }))
	}
	return errors.Join(errs...)
}

// writeStatus writes an object's next status when it differs from the present one, unless it was written a moment
// ago: then a later pass does. What a newer leader wrote into the object, and this one does not know, stays.
func writeStatus[T, S any](ctx context.Context, l *leader, s scene, o object[T], present, next S, set func(*T)) error {
	if reflect.DeepEqual(present, next) || s.Now.Sub(l.statusWritten[o.key]) < statusPause {
		return nil
	}
	changed := *o.value
	set(&changed)
	kv, _ := s.view.Get(o.key)
	op, err := law.Amend(kv, o.value, &changed)
	if err != nil {
		return err
	}
	l.statusWritten[o.key] = s.Now
	return l.write(ctx, []store.Condition{store.KeyAt(o.key, o.modified)}, op)
}
