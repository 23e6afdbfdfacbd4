package agent

import (
	"context"
	"errors"
	"reflect"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// statusesAtOnce is how many statuses are under way to the log. One after the other each would be a write of its own, and
// whoever writes meanwhile would wait for the disk behind it; together the disk takes them in one write.
const statusesAtOnce = 32

// round is the writing of all statuses that one pass decides.
type round struct {
	*leader
	scene  scene
	writes errgroup.Group
	errs   []error
}

// writeStatuses writes what the leader decides about bundles and clusters. These are decisions, made at a
// limited rate, so that `kubectl wait` works; what members observe is in Work.
func (l *leader) writeStatuses(ctx context.Context, s scene) error {
	r := &round{leader: l, scene: s}
	r.writes.SetLimit(statusesAtOnce)
	back := plan.RolledBack(values(s.bundles), values(s.rollouts))
	for _, b := range s.bundles {
		next := s.plan.BundleStatus(b.value)
		if failed := back[b.value.UID]; failed != nil {
			plan.SetRolledBack(&next, failed, s.plan.Now)
		}
		writeStatus(ctx, r, b, b.value.Status, next, func(o *v1alpha1.Bundle) { o.Status = next })
	}
	voters := l.voters()
	for _, c := range s.clusters {
		next := s.plan.ClusterStatus(c.value, voters[store.MemberID(c.value.Status.Incarnation)])
		writeStatus(ctx, r, c, c.value.Status, next, func(o *v1alpha1.Cluster) { o.Status = next })
	}
	return errors.Join(append(r.errs, r.writes.Wait())...)
}

// writeStatus begins to write an object's next status when it differs from the present one, unless it was written a moment
// ago: then a later pass does. What a newer leader wrote into the object, and this one does not know, stays.
func writeStatus[T, S any](ctx context.Context, r *round, o object[T], present, next S, set func(*T)) {
	if reflect.DeepEqual(present, next) || r.scene.plan.Now.Sub(r.statusWritten[o.key]).Abs() < statusPause {
		return
	}
	changed := *o.value
	set(&changed)
	kv, _ := r.scene.view.Get(o.key)
	op, err := law.Amend(kv, o.value, &changed)
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	r.statusWritten[o.key], r.saidAt = r.scene.plan.Now, time.Now()
	r.writes.Go(func() error { return r.write(ctx, []store.Condition{store.KeyAt(o.key, o.modified)}, op) })
}
