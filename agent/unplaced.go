package agent

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
)

func (c *Core) unplaced(v *store.View) ([]v1alpha1.UnplacedFleetStatus, error) {
	bundles, err := c.decoded.Bundles.List(v)
	return unplaced(decoded.Values(bundles)), err
}

// unplaced are the bundles whose placement does not get what it asks for, as the leader wrote last: those first that are nowhere, then those that
// lack the most clusters, and last those that only lie otherwise.
func unplaced(bundles []*v1alpha1.Bundle) (all []v1alpha1.UnplacedFleetStatus) {
	for _, b := range bundles {
		c := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionPlaced)
		if c == nil || c.Status != metav1.ConditionFalse {
			continue
		}
		one := v1alpha1.UnplacedFleetStatus{Name: b.Name, Clusters: b.Status.Clusters, Message: c.Message}
		if n := b.Spec.Placement.NumberOfClusters; n != nil {
			one.Wanted = *n
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b v1alpha1.UnplacedFleetStatus) int {
		return cmp.Or(cmp.Compare(min(a.Clusters, 1), min(b.Clusters, 1)), cmp.Compare(b.Lacks(), a.Lacks()), cmp.Compare(a.Name, b.Name))
	})
	return all
}
