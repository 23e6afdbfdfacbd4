package plan

import (
	"fmt"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// ObjectGates are the gates by objects that waves with a cluster have to pass now: its member looks at them.
func ObjectGates(r *v1alpha1.Rollout, cluster string) (gates []v1alpha1.RolloutGate) {
	if r.Status.Phase.Ended() {
		return nil
	}
	for i, w := range r.Spec.Waves {
		if i < len(r.Status.Waves) && r.Status.Waves[i].Open() && slices.Contains(w.Clusters, cluster) {
			gates = append(gates, slices.DeleteFunc(gatesOf(r, w), func(g v1alpha1.RolloutGate) bool { return !g.AsksObject() })...)
		}
	}
	return gates
}

// saidThere is what the object of a gate says in the clusters of a wave: that of the first in which it does not pass. Clusters that no wave
// waits for, as they may fail, are not asked.
func (c *course) saidThere(i int, g v1alpha1.RolloutGate) *v1alpha1.GateStatus {
	w, all := c.active.Spec.Waves[i], 0
	for _, cluster := range w.Clusters {
		if slices.Contains(c.active.Spec.Orders.Despite, cluster) || c.standing(cluster, c.revisionOf(w)) != runs {
			continue
		}
		all++
		if passes, message := c.saidIn(cluster, g); !passes {
			return &v1alpha1.GateStatus{Name: g.Name, Message: fmt.Sprintf("%s: %s: %s", cluster, Name(*g.Object), message)}
		}
	}
	return &v1alpha1.GateStatus{Name: g.Name, Passes: true, Message: fmt.Sprintf("%s has condition %s %s in %s", Name(*g.Object), g.Condition.Type, g.Condition.Wanted(), v1alpha1.Counted(all, "1 cluster", "%d clusters"))}
}

// saidIn is what a cluster's member said of the object of a gate, about the very grant that it has.
func (c *course) saidIn(cluster string, g v1alpha1.RolloutGate) (passes bool, message string) {
	grant, _ := c.grantOf(cluster)
	w, _ := c.told(cluster, grant)
	for _, said := range w.Gates {
		if said.Name == g.Name {
			return said.Passes, said.Message
		}
	}
	return false, "nobody has looked at it yet"
}

// readObjects takes down, for people, what the objects of gates say: of waves that are at a gate, the first in which it does not pass. The log
// is told when that turns, and of other words at a limited rate.
func (c *course) readObjects() {
	r := c.active
	said := map[string]*v1alpha1.GateStatus{}
	for i, w := range r.Spec.Waves {
		if !r.Status.Waves[i].Open() || r.Status.Waves[i].Ran == nil {
			continue
		}
		for _, g := range gatesOf(r, w) {
			if g.AsksObject() && (said[g.Name] == nil || said[g.Name].Passes) {
				said[g.Name] = c.saidThere(i, g)
			}
		}
	}
	for _, name := range sorted(said) {
		now := *said[name]
		if now.Asked = *c.stamp(); gateStatus(r, name) != nil && gateStatus(r, name).Passes == now.Passes {
			now.Asked = gateStatus(r, name).Asked
		}
		c.takeDown(now)
	}
}
