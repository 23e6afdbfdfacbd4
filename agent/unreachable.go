package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// watch writes down which clusters are unreachable, for how long, and which are back. News says that something was written, by this
// leader or by who overtook it: what cannot be of one cluster is not of the others, and what the log says of it stays.
func (l *leader) watch(ctx context.Context, s scene, situation plan.Situation) (news bool, err error) {
	next, evicts := plan.Unreachables(situation, l.quorum())
	if len(next) == 0 {
		return false, nil
	}
	var conditions []store.Condition
	var ops []store.Op
	var tells []func()
	var errs []error
	for _, c := range s.clusters {
		u, changes := next[c.value.Name]
		if !changes {
			continue
		}
		changed := *c.value
		changed.Status.Unreachable = u
		kv, _ := s.view.Get(c.key)
		op, err := law.Amend(kv, c.value, &changed)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		conditions, ops = append(conditions, store.KeyAt(c.key, c.modified)), append(ops, op)
		tells = append(tells, func() { l.tellUnreachable(c.value, u) })
	}
	if evicts {
		l.evicted = situation.Now // whether or not it comes to be written: rather too late than too many
	}
	for from := 0; from < len(ops); from += clustersAtOnce {
		some, err := apart(from, min(from+clustersAtOnce, len(ops)), func(from, to int) error {
			written, err := l.proposeDecision(ctx, l.term, conditions[from:to], ops[from:to]...)
			for i := from; i < to && written; i++ {
				tells[i]()
			}
			return err
		})
		news, errs = news || some, append(errs, err)
	}
	return news, errors.Join(errs...)
}

// apart writes at once what has these numbers, and where that is refused, each half by itself: what cannot be written keeps no other back. It
// says whether some of it was written.
func apart(from, to int, write func(from, to int) error) (some bool, err error) {
	err = write(from, to)
	var forbidden *store.Forbidden
	var invalid *store.Invalid
	if to-from < 2 || !errors.As(err, &forbidden) && !errors.As(err, &invalid) {
		return err == nil, err
	}
	half := (from + to) / 2
	first, one := apart(from, half, write)
	second, other := apart(half, to, write)
	return first || second, errors.Join(one, other)
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
func (l *leader) quorum() plan.Quorum {
	seen, _, _ := l.reports.Seen()
	voters, now := l.node.Status().Voters, time.Now()
	q := plan.Quorum{Voters: len(voters), Evicted: l.evicted}
	for _, m := range l.store.View().Members() {
		s := seen[m.ID]
		if slices.Contains(voters, m.ID) && (m.ID == l.id() || s.Direct && s.Fresh(now)) {
			q.Heard = append(q.Heard, m.Cluster)
		}
	}
	return q
}
