package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// SetReady sets the condition that all our kinds have. Its transition time changes with its status only.
func SetReady(conditions *[]metav1.Condition, status metav1.ConditionStatus, reason, message string, generation int64, now time.Time) {
	setCondition(conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message}, generation, now)
}

func setCondition(conditions *[]metav1.Condition, c metav1.Condition, generation int64, now time.Time) {
	c.ObservedGeneration, c.LastTransitionTime = generation, metav1.NewTime(now.Truncate(time.Second))
	meta.SetStatusCondition(conditions, c)
}

// BundleStatus is how far a bundle is in the clusters that its placement picks.
func (s Scene) BundleStatus(b *v1alpha1.Bundle) v1alpha1.BundleStatus {
	next := *b.Status.DeepCopy()
	next.ObservedGeneration = b.Generation
	next.Revision = v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
	if why := s.Unread[b.Name]; why != "" {
		SetReady(&next.Conditions, metav1.ConditionUnknown, v1alpha1.ReasonUnreadable, why, b.Generation, s.Now)
		return next
	}
	next.Clusters, next.ReadyClusters = 0, 0
	var waiting []string
	granted := s.Grants[b.Name]
	picked, err := s.picks(b)
	for _, c := range picked {
		next.Clusters++
		if g, ok := granted[c]; ok && g.Revision == next.Revision && s.Sightings[c].Fresh && s.runsWell(c, g) {
			next.ReadyClusters++
		} else {
			waiting = append(waiting, c)
		}
	}
	switch {
	case err != nil:
		SetReady(&next.Conditions, metav1.ConditionFalse, "NoPlacement", err.Error(), b.Generation, s.Now)
	case next.Clusters == 0:
		SetReady(&next.Conditions, metav1.ConditionFalse, "NoClusters", "the placement picks no cluster", b.Generation, s.Now)
	case len(waiting) > 0:
		SetReady(&next.Conditions, metav1.ConditionFalse, "Progressing", waitingText(waiting, s.NoKey(b.Name, waiting...)), b.Generation, s.Now)
	default:
		SetReady(&next.Conditions, metav1.ConditionTrue, "Ready", fmt.Sprintf("ready in %d of %d clusters", next.ReadyClusters, next.Clusters), b.Generation, s.Now)
	}
	s.setPlaced(b, &next)
	return next
}

// setPlaced says of a bundle whose placement asks for a number of clusters, or a spread, whether it gets that.
func (s Scene) setPlaced(b *v1alpha1.Bundle, next *v1alpha1.BundleStatus) {
	if !asks(b.Spec.Placement) {
		meta.RemoveStatusCondition(&next.Conditions, v1alpha1.ConditionPlaced)
		return
	}
	c := metav1.Condition{Type: v1alpha1.ConditionPlaced, Status: metav1.ConditionTrue, Reason: "Satisfied", Message: "it has the clusters that its placement asks for"}
	if lacks := s.placed(b).lacks; len(lacks) > 0 {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "Unsatisfied", strings.Join(lacks, "; ")
	}
	setCondition(&next.Conditions, c, b.Generation, s.Now)
}

func waitingText(clusters []string, noKey string) string {
	text := "waiting for " + fewNames(clusters)
	if noKey != "" {
		text += "; " + noKey
	}
	return text
}

// fewNames lists the first three of some names, sorted, and counts the others.
func fewNames(names []string) string { return v1alpha1.Few(slices.Sorted(slices.Values(names)), 3) }

// ClusterStatus is what the leader says of a cluster: whether its member votes, and whether it hears from it.
func (s Scene) ClusterStatus(c *v1alpha1.Cluster, votes bool) v1alpha1.ClusterStatus {
	next := *c.Status.DeepCopy()
	next.Voter = VoterRole(votes)
	switch seen, ok := s.Sightings[c.Name]; {
	case ok && seen.Fresh:
		SetReady(&next.Conditions, metav1.ConditionTrue, "Reached", "the leader hears from the member", c.Generation, s.Now)
	case ok:
		SetReady(&next.Conditions, metav1.ConditionFalse, "Silent", "the leader does not hear from the member", c.Generation, s.Now)
	default:
		SetReady(&next.Conditions, metav1.ConditionUnknown, "NotSeen", "the leader has not heard from the member yet", c.Generation, s.Now)
	}
	s.setSaid(c, &next, v1alpha1.ConditionAggregated, func(seen Sighting) metav1.Condition { return seen.Aggregated })
	s.setSaid(c, &next, v1alpha1.ConditionControlPlaneHealthy, func(seen Sighting) metav1.Condition { return seen.ControlPlane })
	return next
}

// VoterRole is how a status tells whether a member votes.
func VoterRole(votes bool) v1alpha1.VoterRole {
	if votes {
		return v1alpha1.RoleVoter
	}
	return v1alpha1.RoleNonvoter
}

// setSaid takes over what a member says of its cluster. Of one that is silent nobody knows; what a new leader has not heard
// yet stays as it was.
func (s Scene) setSaid(c *v1alpha1.Cluster, next *v1alpha1.ClusterStatus, kind string, by func(Sighting) metav1.Condition) {
	seen, ok := s.Sightings[c.Name]
	said := by(seen)
	switch {
	case ok && !seen.Fresh && meta.FindStatusCondition(next.Conditions, kind) != nil:
		said = metav1.Condition{Status: metav1.ConditionUnknown, Reason: "Silent", Message: "the leader does not hear from the member"}
	case said.Status == "":
		return
	}
	said.Type = kind
	setCondition(&next.Conditions, said, c.Generation, s.Now)
}
