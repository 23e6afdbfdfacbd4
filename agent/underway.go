package agent

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

// underWay are the rollouts that have not ended, and those that were taken back or aborted of what their bundles say still, those first that
// need a person, and why the fleet is frozen, if it is.
func (c *Core) underWay(v *store.View) (frozen *v1alpha1.Freeze, all []v1alpha1.RolloutFleetStatus, err error) {
	policy, err := c.decoded.RolloutPolicy(v)
	if err != nil {
		return nil, nil, err
	}
	rollouts, err := c.decoded.Rollouts.List(v)
	if err != nil {
		return nil, nil, err
	}
	bundles, err := c.decoded.Bundles.List(v)
	if err != nil {
		return nil, nil, err
	}
	back := plan.RolledBack(decoded.Values(bundles), decoded.Values(rollouts))
	aborted := plan.Aborted(decoded.Values(bundles), decoded.Values(rollouts))
	for _, r := range rollouts {
		uid := types.UID(r.Value.Spec.BundleUID)
		if s := r.Value.Status; !s.Phase.Ended() || back[uid] == r.Value || aborted[uid] == r.Value {
			all = append(all, v1alpha1.RolloutFleetStatus{
				Name: r.Value.Name, Bundle: r.Value.Spec.Bundle, Phase: s.Phase, Message: s.Message,
				Wave: s.Wave, Waves: int32(len(r.Value.Spec.Waves)), Asks: asks(s),
			})
		}
	}
	slices.SortStableFunc(all, func(a, b v1alpha1.RolloutFleetStatus) int { return cmp.Compare(urgency(a.Phase), urgency(b.Phase)) })
	return policy.Freeze, all, nil
}

// urgency of a rollout: who has the least needs a person most.
func urgency(p v1alpha1.RolloutPhase) int {
	switch p {
	case v1alpha1.RolloutFailed:
		return 0
	case v1alpha1.RolloutPaused, v1alpha1.RolloutRolledBack, v1alpha1.RolloutAborted:
		return 1
	case v1alpha1.RolloutRunning:
		return 2
	}
	return 3
}

// asks is what a rollout waits for a person to approve.
func asks(s v1alpha1.RolloutStatus) *v1alpha1.ApprovalAsked {
	switch {
	case s.Phase.Ended():
		return nil
	case s.Deletions != nil:
		return &v1alpha1.ApprovalAsked{Objects: s.Deletions.Objects, Of: s.Deletions.Of, Clusters: int32(len(s.Deletions.Clusters))}
	case s.Wait != nil && s.Wait.For == v1alpha1.WaitForApproval:
		return &v1alpha1.ApprovalAsked{Stage: s.Wait.Stage}
	}
	return nil
}
