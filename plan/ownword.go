package plan

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// PickedByOwnWord are the clusters that a group's selector picks by a region or a zone that they said of themselves when they joined.
func PickedByOwnWord(g *v1alpha1.RecipientGroup, clusters []*v1alpha1.Cluster) (names []string) {
	selector, err := metav1.LabelSelectorAsSelector(g.Spec.ClusterSelector)
	if err != nil {
		return nil // it picks nobody
	}
	asks, _ := selector.Requirements()
	for _, c := range clusters {
		own := false
		for _, r := range asks {
			own = own || c.SaidItself(r.Key())
		}
		if own && selector.Matches(labels.Set(c.Labels)) {
			names = append(names, c.Name)
		}
	}
	return names
}
