package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// watch writes down which clusters are unreachable, for how long, and which are back. News says that something was written, by this
// leader or by who overtook it: what cannot be of one cluster is not of the others, and what the log says of it stays.
func (l *leader) watch(ctx context.Context, s scene, situation plan.Situation) (news bool, err error) {
	next, evicted := plan.Unreachables(situation, l.quorum(s))
	if len(next) == 0 {
		return false, nil
	}
	var all []notice
	var errs []error
	for _, c := range s.clusters {
		u, changes := next[c.Value.Name]
		if !changes {
			continue
		}
		changed := *c.Value
		changed.Status.Unreachable = u
		kv, _ := s.view.Get(c.Key)
		op, err := law.Amend(kv, c.Value, &changed)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, notice{c, u, op, c.Value.Name == evicted})
	}
	news, err = l.refused.write(all, situation.Now, func(some []notice) error { return l.notify(ctx, some, situation.Now) })
	return news, errors.Join(append(errs, err)...)
}

// notice is what is to be written of how a cluster is heard.
type notice struct {
	cluster decoded.Object[v1alpha1.Cluster]
	is      *v1alpha1.Unreachable
	op      store.Op
	evicts  bool
}

// notify writes notices at once. An eviction of which nobody knows whether it was written counts: rather too late than too many.
func (l *leader) notify(ctx context.Context, some []notice, now time.Time) error {
	var conditions []store.Condition
	var ops []store.Op
	for _, n := range some {
		conditions, ops = append(conditions, store.KeyAt(n.cluster.Key, n.cluster.Modified)), append(ops, n.op)
	}
	written, err := l.proposeDecision(ctx, l.term, conditions, ops...)
	for _, n := range some {
		if written {
			l.tellUnreachable(n.cluster.Value, n.is)
		}
		if n.evicts && (written || err != nil && !isRefused(err)) {
			l.evicted = now
		}
	}
	return err
}

// apart writes things at once, and where that is refused, each half by itself: what cannot be written keeps no other back. It says whether
// some of it was written.
func apart[T any](all []T, write func([]T) error) (some bool, err error) {
	err = write(all)
	if len(all) < 2 || !isRefused(err) {
		return err == nil, err
	}
	half := len(all) / 2
	first, one := apart(all[:half], write)
	second, other := apart(all[half:], write)
	return first || second, errors.Join(one, other)
}

// isRefused says that the log does not take what was proposed, whenever it is.
func isRefused(err error) bool {
	return errors.As(err, new(*store.Forbidden)) || errors.As(err, new(*store.Invalid))
}

// For how long a cluster is left alone of which the log took nothing; twice as long each time.
const (
	refusedFirst = 2 * time.Second
	refusedMost  = 2 * time.Minute
)

// refusals are the clusters of which the log takes nothing, by key: each is tried by itself from then on, later and later, until something
// else is written of it. The others are written as if it were not there.
type refusals map[string]refusal

type refusal struct {
	of   store.Revision // that the cluster was of
	wait time.Duration
	next time.Time
}

// write writes what may be taken now, and says whether some of it was.
func (r refusals) write(all []notice, now time.Time, write func([]notice) error) (news bool, err error) {
	var errs []error
	try := func(some []notice) error {
		err := write(some)
		for _, n := range some {
			switch {
			case err == nil:
				delete(r, n.cluster.Key)
			case len(some) == 1 && isRefused(err):
				r.note(n.cluster, now)
			}
		}
		return err
	}
	var fresh []notice
	for _, n := range all {
		last, tried := r.of(n.cluster)
		switch {
		case !tried:
			fresh = append(fresh, n)
		case !now.Before(last.next):
			err := try([]notice{n})
			news, errs = news || err == nil, append(errs, err)
		}
	}
	for some := range slices.Chunk(fresh, clustersAtOnce) {
		written, err := apart(some, try)
		news, errs = news || written, append(errs, err)
	}
	return news, errors.Join(errs...)
}

// of is the last refusal of what a cluster is now.
func (r refusals) of(c decoded.Object[v1alpha1.Cluster]) (last refusal, tried bool) {
	if last, tried = r[c.Key]; !tried || last.of != c.Modified {
		return refusal{}, false
	}
	return last, true
}

func (r refusals) note(c decoded.Object[v1alpha1.Cluster], now time.Time) {
	last, _ := r.of(c)
	wait := min(max(2*last.wait, refusedFirst), refusedMost)
	r[c.Key] = refusal{c.Modified, wait, now.Add(wait)}
}

// clustersAtOnce is how many clusters are written in one entry of the log: each may be of some kilobytes.
const clustersAtOnce = 16

// tellUnreachable tells people what was written.
func (l *leader) tellUnreachable(c *v1alpha1.Cluster, u *v1alpha1.Unreachable) {
	was := c.Status.Unreachable
	switch {
	case u == nil:
		l.log.Info("cluster is reachable", "cluster", c.Name)
	case u.Phase == v1alpha1.UnreachableGone && (was == nil || was.Phase != u.Phase):
		l.log.Info("cluster is unreachable", "cluster", c.Name, "by", u.By)
	case u.Phase == v1alpha1.UnreachableBack && was.Phase != u.Phase:
		l.log.Info("cluster is back, and held down", "cluster", c.Name)
	case u.Evicted != was.Evicted:
		l.log.Info("cluster is evicted", "cluster", c.Name, "gone", u.Evicted.Duration)
	}
}

// quorum is who speaks to this leader about the others: the voters whose own words it has had a moment ago.
func (l *leader) quorum(s scene) plan.Quorum {
	seen, _, _ := l.reports.Seen()
	voters, now := l.node.Status().Voters, time.Now()
	q := plan.Quorum{Voters: len(voters), Evicted: l.evicted, Refused: map[string]bool{}}
	for _, c := range s.clusters {
		_, q.Refused[c.Value.Name] = l.refused.of(c)
	}
	for _, m := range l.store.View().Members() {
		heard := seen[m.ID]
		if slices.Contains(voters, m.ID) && (m.ID == l.id() || heard.Direct && heard.Fresh(now)) {
			q.Heard = append(q.Heard, m.Cluster)
		}
	}
	return q
}
