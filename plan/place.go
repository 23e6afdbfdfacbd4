package plan

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Place returns the names of the clusters that the placement picks, sorted. Named clusters that are not in the
// fleet are left out; they are picked once they join.
func Place(p v1alpha1.Placement, clusters []v1alpha1.Cluster) ([]string, error) {
	selector := labels.Nothing()
	if p.ClusterSelector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(p.ClusterSelector); err != nil {
			return nil, fmt.Errorf("read cluster selector: %w", err)
		}
	}
	var picked []string
	for _, c := range clusters {
		if slices.Contains(p.Clusters, c.Name) || selector.Matches(labels.Set(c.Labels)) {
			picked = append(picked, c.Name)
		}
	}
	slices.Sort(picked)
	return picked, nil
}
