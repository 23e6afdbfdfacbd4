package agent

import (
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// fleetSpec is the fleet's settings for what has to go on, whatever they are: who votes, and who leads. Those that cannot be read are as if they said
// nothing, and the log tells why.
func (c *Core) fleetSpec(v *store.View) v1alpha1.FleetSpec {
	spec, err := c.decoded.Fleet(v)
	if err == nil {
		c.unreadFleet.Store(nil)
		return spec
	}
	why := err.Error()
	if said := c.unreadFleet.Swap(&why); said == nil || *said != why {
		c.log.Warn("the fleet's settings cannot be read; who votes and leads is decided as if they said nothing", "err", err)
	}
	return v1alpha1.FleetSpec{Voters: v1alpha1.DefaultVoters}
}
