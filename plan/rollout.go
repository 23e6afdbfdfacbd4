package plan

import (
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Situation is what a decision about one bundle is made from.
type Situation struct {
	Bundle   *v1alpha1.Bundle
	Clusters []v1alpha1.Cluster
	// Grants of this bundle's name, by cluster.
	Grants map[string]v1alpha1.Grant
	// Away are clusters that the leader does not reach: they are owed, and get their grant on their return.
	Away map[string]bool
	// Looking are clusters that only look, until a person says go: they are owed, too, and nothing is withdrawn from them.
	Looking map[string]bool
}

// Step is what a leader should write for a bundle now: one more wave of its rollout. Empty when there is nothing to do.
type Step struct {
	v1alpha1.Wave
	// Owed are clusters that should get the revision, and are away or only look.
	Owed []string
}

// Empty says that the step changes no grant.
func (s Step) Empty() bool { return len(s.Clusters) == 0 && len(s.Withdraw) == 0 }

// Advance decides the next wave of a bundle: every cluster that the placement picks, is not away and does not have
// the bundle's revision yet gets it, and every cluster that has a grant and is no longer picked is told to
// withdraw. A cluster that withdraws an earlier bundle of the same name is left to finish that first.
func Advance(s Situation) (Step, error) {
	picked, err := Place(s.Bundle.Spec.Placement, s.Clusters)
	if err != nil {
		return Step{}, err
	}
	revision := v1alpha1.RevisionName(s.Bundle.Name, string(s.Bundle.UID), s.Bundle.Generation)
	var step Step
	for _, c := range picked {
		g, granted := s.Grants[c]
		switch {
		case granted && g.Withdraw && g.BundleUID != string(s.Bundle.UID):
		case granted && !g.Withdraw && g.Revision == revision:
		case s.Away[c] || s.Looking[c]:
			step.Owed = append(step.Owed, c)
		default:
			step.Clusters = append(step.Clusters, c)
		}
	}
	for c, g := range s.Grants {
		if !g.Withdraw && !s.Looking[c] && !slices.Contains(picked, c) {
			step.Withdraw = append(step.Withdraw, c)
		}
	}
	slices.Sort(step.Withdraw)
	return step, nil
}
