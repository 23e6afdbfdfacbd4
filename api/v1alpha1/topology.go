package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Chosen says whether the cluster is one of those names, or has labels that match the selector. A selector that is nil, or that
// cannot be read, matches nothing.
func (c *Cluster) Chosen(names []string, selector *metav1.LabelSelector) bool {
	if slices.Contains(names, c.Name) {
		return true
	}
	matcher, err := metav1.LabelSelectorAsSelector(selector) // of nil: nothing
	return err == nil && matcher.Matches(labels.Set(c.Labels))
}

// MirrorTopology makes the topology labels say what the cluster's spec says, so that selectors see region and zone.
func MirrorTopology(c *Cluster) {
	mirror(c, LabelRegion, c.Spec.Region)
	mirror(c, LabelZone, c.Spec.Zone)
}

func mirror(c *Cluster, label, value string) {
	if value == "" {
		delete(c.Labels, label)
		return
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	c.Labels[label] = value
}
