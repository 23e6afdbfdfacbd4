package decoded

import (
	"cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Fleet is the fleet's settings. Those that cannot be read are an error: who decides by others may undo what people set.
func (k Kinds) Fleet(v *store.View) (spec v1alpha1.FleetSpec, err error) {
	fleets, err := k.Fleets.List(v)
	if err != nil {
		return spec, err
	}
	for _, f := range fleets {
		spec = f.Value.Spec
	}
	spec.Voters = cmp.Or(spec.Voters, v1alpha1.DefaultVoters)
	return spec, nil
}

// RolloutPolicy is what the fleet says of rollouts, resolved.
func (k Kinds) RolloutPolicy(v *store.View) (v1alpha1.FleetRollout, error) {
	fleet, err := k.Fleet(v)
	if err != nil {
		return v1alpha1.FleetRollout{}, err
	}
	return fleet.Rollout.Resolved(), nil
}
