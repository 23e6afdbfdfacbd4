package v1alpha1

import "k8s.io/apimachinery/pkg/api/meta"

// VotesNoMore says that the cluster is never to vote, and that the leader has seen so and taken its vote. Its member can be
// removed without the vote of one that nobody hears any more.
func (c *Cluster) VotesNoMore() bool {
	ready := meta.FindStatusCondition(c.Status.Conditions, ConditionReady)
	return c.Spec.Voting == VotingNever && c.Status.Voter == RoleNonvoter && ready != nil && ready.ObservedGeneration >= c.Generation
}
