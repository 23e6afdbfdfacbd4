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

// watch writes down which clusters are unreachable, for how long, and which are back. News says that something was written: what cannot be of
// one cluster is not of the others, and what the log says of it stays.
func (l *leader) watch(ctx context.Context, s scene, situation plan.Situation) (news bool, err error) {
	next, evicts := plan.Unreachables(situation, l.quorum())
	if len(next) == 0 {
		return false, nil
	}
	var conditions []store.Condition
	var ops []store.Op
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
		l.tellUnreachable(c.value, u)
	}
	if evicts {
		l.evicted = situation.Now // whether or not it comes to be written: rather too late than too many
	}
	for len(ops) > 0 {
		n := min(len(ops), clustersAtOnce)
		err := l.write(ctx, conditions[:n], ops[:n]...)
		news, errs = news || err == nil, append(errs, err)
		conditions, ops = conditions[n:], ops[n:]
	}
	return news, errors.Join(errs...)
}

// clustersAtOnce is how many clusters are written in one entry of the log: each may be of some kilobytes.
const clustersAtOnce = 16

// tellUnreachable tells people what is about to be settled.
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
