package agent

import (
	"fmt"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// replaceGrace is how long a member must have been silent before another incarnation takes its place: a restart is
// shorter.
const replaceGrace = 10 * time.Second

// replaceable says why a token may not put a new incarnation in the place of a cluster's member now, or nil. Only the
// leader asks: it hears every member that is alive, or has not led for long.
func (c *Core) replaceable(v *store.View, token law.Token, now time.Time) error {
	if !token.Replace {
		return nil
	}
	if _, there := v.Get(v1alpha1.KeyClusters + token.Cluster); !there {
		return refuse("the fleet has no cluster %s whose member could be replaced; make a token without --replace", token.Cluster)
	}
	seen, _, _ := c.board.all()
	for _, m := range v.Members() {
		if m.Cluster != token.Cluster {
			continue
		}
		if m.ID == c.id() {
			return refuse("the member of %s is alive, and leads; stop it first, or join under another --cluster", m.Cluster)
		}
		s := seen[m.ID]
		if s.fresh(now) {
			return refuse("the member of %s is alive: it was heard %s ago; stop it first, or join under another --cluster", m.Cluster, now.Sub(s.at).Round(time.Millisecond))
		}
		heard := s.at
		if c.since.After(heard) {
			heard = c.since // before that nobody here listened
		}
		if silent := now.Sub(heard); silent < replaceGrace {
			return fmt.Errorf("the member of %s may only be restarting: it is silent since %s, and is replaced after %s; try again", m.Cluster, silent.Round(time.Second), replaceGrace)
		}
	}
	return nil
}

// replaced removes the members of a cluster whose place another one takes. It holds while the membership is as it was.
func replaced(v *store.View, cluster string, at time.Time) (conditions []store.Condition, ops []store.Op) {
	for _, m := range v.Members() {
		if m.Cluster == cluster {
			conditions = []store.Condition{store.PrefixUnchanged(store.KeyMembers, v.Revision())}
			ops = append(ops, store.RemoveMember(m, at)...)
		}
	}
	return conditions, ops
}
