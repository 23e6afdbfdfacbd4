package agent

import (
	"cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// fleet is the fleet's settings. Those that cannot be read are an error: who decides by others may undo what people set.
func (d decoded) fleet(v *store.View) (spec v1alpha1.FleetSpec, err error) {
	fleets, err := d.fleets.list(v)
	if err != nil {
		return spec, err
	}
	for _, f := range fleets {
		spec = f.value.Spec
	}
	spec.Voters = cmp.Or(spec.Voters, v1alpha1.DefaultVoters)
	return spec, nil
}

// rolloutPolicy is what the fleet says of rollouts, resolved.
func (d decoded) rolloutPolicy(v *store.View) (v1alpha1.FleetRollout, error) {
	fleet, err := d.fleet(v)
	if err != nil {
		return v1alpha1.FleetRollout{}, err
	}
	return fleet.Rollout.Resolved(), nil
}

// fleetSpec is the fleet's settings for what has to go on, whatever they are: who votes, and who leads. Those that cannot be read are as if they said
// nothing, and the log tells why.
func (c *Core) fleetSpec(v *store.View) v1alpha1.FleetSpec {
	spec, err := c.decoded.fleet(v)
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
