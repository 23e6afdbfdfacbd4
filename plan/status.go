package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Scene is what the leader decides statuses from.
type Scene struct {
	Now      time.Time
	Clusters []v1alpha1.Cluster
	// Grants by the bundle's name and by cluster.
	Grants map[string]map[string]v1alpha1.Grant
	// Sightings by cluster. A cluster that the leader never heard has none.
	Sightings map[string]Sighting
}

// Sighting is what a cluster's member said last.
type Sighting struct {
	// Fresh says that it was heard a moment ago.
	Fresh bool
	// Works by the bundle's name.
	Works map[string]v1alpha1.WorkStatus
	// Aggregated is what it said of the fleet's API in its cluster; without a status it said nothing.
	Aggregated metav1.Condition
}

// SetReady sets the condition that all our kinds have. Its transition time changes with its status only.
func SetReady(conditions *[]metav1.Condition, status metav1.ConditionStatus, reason, message string, generation int64, now time.Time) {
	setCondition(conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message}, generation, now)
}

func setCondition(conditions *[]metav1.Condition, c metav1.Condition, generation int64, now time.Time) {
	c.ObservedGeneration, c.LastTransitionTime = generation, metav1.NewTime(now.Truncate(time.Second))
	meta.SetStatusCondition(conditions, c)
}

// runs says whether a cluster runs a revision, healthy, as its own member reported last.
func (s Scene) runs(cluster, bundle, revision string) bool {
	seen := s.Sightings[cluster]
	w, ok := seen.Works[bundle]
	return ok && seen.Fresh && w.Applied == revision && w.Health == v1alpha1.HealthReady
}

// BundleStatus is how far a bundle is in the clusters that its placement picks.
func (s Scene) BundleStatus(b *v1alpha1.Bundle) v1alpha1.BundleStatus {
	next := *b.Status.DeepCopy()
	next.ObservedGeneration = b.Generation
	next.Revision = v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
	next.Clusters, next.ReadyClusters = 0, 0
	var waiting []string
	granted := s.Grants[b.Name]
	picked, err := Place(b.Spec.Placement, s.Clusters)
	for _, c := range picked {
		next.Clusters++
		if g, ok := granted[c]; ok && g.Revision == next.Revision && s.runs(c, b.Name, next.Revision) {
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
		SetReady(&next.Conditions, metav1.ConditionFalse, "Progressing", "waiting for "+fewNames(waiting), b.Generation, s.Now)
	default:
		SetReady(&next.Conditions, metav1.ConditionTrue, "Ready", fmt.Sprintf("ready in %d of %d clusters", next.ReadyClusters, next.Clusters), b.Generation, s.Now)
	}
	return next
}

// fewNames lists names, sorted, and counts those beyond the first three.
func fewNames(names []string) string {
	slices.Sort(names)
	text := ""
	for i, n := range names {
		switch {
		case i == 3:
			return fmt.Sprintf("%s and %d more", text, len(names)-3)
		case i > 0:
			text += ", "
		}
		text += n
	}
	return text
}

// RolloutStatus is how far a rollout is. One that runs no more stays as it is.
func (s Scene) RolloutStatus(r *v1alpha1.Rollout) v1alpha1.RolloutStatus {
	next := *r.Status.DeepCopy()
	if next.Phase != v1alpha1.RolloutRunning {
		return next
	}
	var waiting []string
	for _, w := range r.Spec.Waves {
		for _, c := range w.Clusters {
			if s.grantedRevision(c, r.Spec.Bundle) == r.Spec.Revision && !s.runs(c, r.Spec.Bundle, r.Spec.Revision) {
				waiting = append(waiting, c)
			}
		}
		for _, c := range w.Withdraw {
			if s.withdraws(c, r.Spec.Bundle) {
				waiting = append(waiting, c)
			}
		}
	}
	if len(waiting) > 0 {
		SetReady(&next.Conditions, metav1.ConditionFalse, "Progressing", "waiting for "+fewNames(waiting), r.Generation, s.Now)
		return next
	}
	next.Phase = v1alpha1.RolloutComplete
	SetReady(&next.Conditions, metav1.ConditionTrue, "Complete", "every cluster runs the revision", r.Generation, s.Now)
	return next
}

func (s Scene) grantedRevision(cluster, bundle string) string {
	return s.Grants[bundle][cluster].Revision
}

// withdraws says that a cluster was told to withdraw a bundle and has not struck its grant yet.
func (s Scene) withdraws(cluster, bundle string) bool {
	return s.Grants[bundle][cluster].Withdraw
}

// ClusterStatus is what the leader says of a cluster: whether its member votes, and whether it hears from it.
func (s Scene) ClusterStatus(c *v1alpha1.Cluster, votes bool) v1alpha1.ClusterStatus {
	next := *c.Status.DeepCopy()
	next.Voter = v1alpha1.RoleNonvoter
	if votes {
		next.Voter = v1alpha1.RoleVoter
	}
	switch seen, ok := s.Sightings[c.Name]; {
	case ok && seen.Fresh:
		SetReady(&next.Conditions, metav1.ConditionTrue, "Reached", "the leader hears from the member", c.Generation, s.Now)
	case ok:
		SetReady(&next.Conditions, metav1.ConditionFalse, "Silent", "the leader does not hear from the member", c.Generation, s.Now)
	default:
		SetReady(&next.Conditions, metav1.ConditionUnknown, "NotSeen", "the leader has not heard from the member yet", c.Generation, s.Now)
	}
	s.setAggregated(c, &next)
	return next
}

// setAggregated takes over what a member says of the fleet's API in its cluster. Of one that is silent nobody knows; what
// a new leader has not heard yet stays as it was.
func (s Scene) setAggregated(c *v1alpha1.Cluster, next *v1alpha1.ClusterStatus) {
	seen, ok := s.Sightings[c.Name]
	said := seen.Aggregated
	switch {
	case ok && !seen.Fresh && meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionAggregated) != nil:
		said = metav1.Condition{Status: metav1.ConditionUnknown, Reason: "Silent", Message: "the leader does not hear from the member"}
	case said.Status == "":
		return
	}
	said.Type = v1alpha1.ConditionAggregated
	setCondition(&next.Conditions, said, c.Generation, s.Now)
}
