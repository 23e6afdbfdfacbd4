package v1alpha1

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
