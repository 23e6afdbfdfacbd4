package agent

import (
	"context"
	"errors"
	"reflect"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// statusesAtOnce is how many transactions of statuses are under way to the log, and statusesTogether how many statuses one has. One after the other each
// would be a write of its own, and whoever writes meanwhile would wait for the disk behind it; together the disk takes them in one write.
const (
	statusesAtOnce   = 8
	statusesTogether = 16
	// manyStatuses are a round that is put off after grants: those who carry them out are to have the processors and the disk, for grantsFirst after the last of
	// them, and for putOffMost when they do not end.
	manyStatuses = 100
	grantsFirst  = time.Second
	putOffMost   = 5 * time.Second
)

// round is the writing of all statuses that one pass decides.
type round struct {
	*leader
	scene scene
	said  []func() (saying, error)
}

// saying is one status that is to be written, if the object is as it was.
type saying struct {
	as store.Condition
	op store.Op
}

// writeStatuses writes what the leader decides about bundles and clusters. These are decisions, made at a
// limited rate, so that `kubectl wait` works; what members observe is in Work.
func (l *leader) writeStatuses(ctx context.Context, s scene) error {
	r := &round{leader: l, scene: s}
	back := plan.RolledBack(decoded.Values(s.bundles), decoded.Values(s.rollouts))
	for _, b := range s.bundles {
		next := s.plan.BundleStatus(b.Value)
		if failed := back[b.Value.UID]; failed != nil {
			plan.SetRolledBack(&next, failed, s.plan.Now)
		}
		decideStatus(r, b, b.Value.Status, next, func(o *v1alpha1.Bundle) { o.Status = next })
	}
	voters := l.voters()
	for _, c := range s.clusters {
		next := s.plan.ClusterStatus(c.Value, voters[store.MemberID(c.Value.Status.Incarnation)])
		decideStatus(r, c, c.Value.Status, next, func(o *v1alpha1.Cluster) { o.Status = next })
	}
	if l.putsOff(len(r.said)) {
		return nil
	}
	return r.write(ctx)
}

// putsOff says that a round of so many statuses is written later.
func (l *leader) putsOff(statuses int) bool {
	since := l.putOffSince
	l.putOffSince = time.Time{}
	if statuses < manyStatuses {
		return false
	}
	if since.IsZero() {
		since = time.Now()
	}
	in := putOffIn(since, l.grantedAt)
	if in <= 0 {
		return false
	}
	l.putOffSince = since
	l.owes(in)
	return true
}

// putOffIn is when a round may be written that was put off at some time, and grants were written at another.
func putOffIn(since, granted time.Time) time.Duration {
	return min(grantsFirst-time.Since(granted), putOffMost-time.Since(since))
}

// saysIn is in what time a round of statuses may be written.
func (l *leader) saysIn() time.Duration {
	in := statusesPause - time.Since(l.saidAt)
	if !l.putOffSince.IsZero() {
		in = max(in, putOffIn(l.putOffSince, l.grantedAt))
	}
	return in
}

// decideStatus adds an object's next status to the round when it differs from the present one, unless it was written a moment
// ago: then a later pass does. What a newer leader wrote into the object, and this one does not know, stays.
func decideStatus[T, S any](r *round, o decoded.Object[T], present, next S, set func(*T)) {
	if reflect.DeepEqual(present, next) || r.scene.plan.Now.Sub(r.statusWritten[o.Key]).Abs() < statusPause {
		return
	}
	r.said = append(r.said, func() (saying, error) {
		changed := *o.Value
		set(&changed)
		kv, _ := r.scene.view.Get(o.Key)
		op, err := law.Amend(kv, o.Value, &changed)
		return saying{store.KeyAt(o.Key, o.Modified), op}, err
	})
}

// write writes the round, some statuses at once. If one of these was overtaken, each of the others is written alone.
func (r *round) write(ctx context.Context) error {
	var all []saying
	var errs []error
	for _, decided := range r.said {
		one, err := decided()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, one)
		r.statusWritten[one.op.Key], r.saidAt = r.scene.plan.Now, time.Now()
	}
	var writes errgroup.Group
	writes.SetLimit(statusesAtOnce)
	for _, some := range together(all) {
		writes.Go(func() error {
			written, err := r.say(ctx, some...)
			if written || err != nil || len(some) == 1 {
				return err
			}
			var errs []error
			for _, one := range some {
				_, err := r.say(ctx, one)
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
	}
	return errors.Join(append(errs, writes.Wait())...)
}

// together are statuses as they are written: at most so many at once, and no more than an entry has room for.
func together(all []saying) (parts [][]saying) {
	size := 0
	for _, one := range all {
		need := cost(one.op)
		if last := len(parts) - 1; last >= 0 && len(parts[last]) < statusesTogether && size+need <= bytesAtOnce {
			parts[last] = append(parts[last], one)
			size += need
			continue
		}
		parts, size = append(parts, []saying{one}), need
	}
	return parts
}

// say writes some statuses, all or none of them.
func (r *round) say(ctx context.Context, some ...saying) (written bool, err error) {
	var conditions []store.Condition
	var ops []store.Op
	for _, one := range some {
		conditions, ops = append(conditions, one.as), append(ops, one.op)
	}
	return r.proposeDecision(ctx, r.term, conditions, ops...)
}
