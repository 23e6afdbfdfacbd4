package v1alpha1

import (
	"slices"
	"strings"

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

// AnnotationSaidItself on a Cluster names what of region and zone it said of itself when it joined, and no admin in its token: region, zone, or both with
// a comma. Who vouches for it takes the annotation off.
const AnnotationSaidItself = GroupName + "/said-itself"

// SaidItself says whether a label is a region or a zone by the cluster's own word.
func (c *Cluster) SaidItself(label string) bool {
	own := strings.Split(c.Annotations[AnnotationSaidItself], ",")
	return label == LabelRegion && slices.Contains(own, "region") || label == LabelZone && slices.Contains(own, "zone")
}
