package plan

import (
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// giveWay lets go of the fault domains of a rollout that waits for a person, when it is of one cluster alone that is not trusted with
// the fleet: whoever has that cluster could else hold all others up. What it was granted and is not known to run is held.
func (c *course) giveWay() {
	waits := c.stopped() || c.active.Status.Deletions != nil || c.barred() != ""
	if !waits || !c.isOwn() {
		return
	}
	for _, domain := range c.active.Status.InChange {
		c.hold(domain)
	}
}

// isOwn says that all that the rollout changes is one cluster, which may write for itself alone.
func (c *course) isOwn() bool {
	one := ""
	for _, w := range slices.Concat(c.active.Spec.Carried, c.active.Spec.Waves) {
		for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
			if one != "" && cluster != one {
				return false
			}
			one = cluster
		}
	}
	cl := c.cluster(one)
	return cl != nil && cl.Spec.Rights == v1alpha1.RightsOwnObjects
}
