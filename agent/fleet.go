package agent

import (
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// fleetSpec is the fleet's settings for what has to go on, whatever they are: who leads. Those that cannot be read are as they were when they could
// last; none of which that is known say nothing, not even how many vote.
func (c *Core) fleetSpec(v *store.View) v1alpha1.FleetSpec {
	spec, err := c.decoded.Fleet(v)
	c.unreadFleet.Tell(c.log, "the fleet's settings cannot be read; who votes and leads is decided as before", err)
	if err == nil {
		c.lastFleet.Store(&spec)
		return spec
	}
	if was := c.lastFleet.Load(); was != nil {
		return *was
	}
	return v1alpha1.FleetSpec{}
}

// votersWanted is how many should vote. By settings of which this member never read any it is as many as do now, and one more of an even number, as of five
// one may be on its way to another: so nobody who lives loses a vote that people gave. That is not kept, as more may vote by the time that this member leads
// again. Who died and lost its vote has it again when the settings can be read.
func (c *Core) votersWanted(v *store.View, candidates []consensus.Candidate) int {
	if spec := c.fleetSpec(v); spec.Voters > 0 {
		return int(spec.Voters)
	}
	voting := 0
	for _, m := range candidates {
		if m.Voter {
			voting++
		}
	}
	return voting | 1
}
