package plan

import (
	"fmt"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Holders are the clusters that hold the present key of a group. They are found out when somebody asks first, so it is for one goroutine.
type Holders struct {
	group    *v1alpha1.RecipientGroup
	clusters []v1alpha1.Cluster
	by       map[string]bool
}

// HoldersOf a group, among some clusters.
func HoldersOf(g *v1alpha1.RecipientGroup, clusters []v1alpha1.Cluster) *Holders {
	return &Holders{group: g, clusters: clusters}
}

func (h *Holders) has(cluster string) bool {
	if h.by == nil {
		h.by = map[string]bool{}
		for i := range h.clusters {
			c := &h.clusters[i]
			h.by[c.Name] = h.group.Holds(c.Name, c.Status.Recipient)
		}
	}
	return h.by[cluster]
}

// Keyless says that a cluster cannot open what is rolled out under a name: that is sealed for a group, and the cluster does not hold its
// present key.
func (s Scene) Keyless(bundle, cluster string) bool {
	h := s.Sealed[bundle]
	return h != nil && !h.has(cluster)
}

// NoKey says of those of some clusters that are keyless what they wait for, for people; "" when none is.
func (s Scene) NoKey(bundle string, clusters ...string) string {
	var keyless []string
	for _, cluster := range clusters {
		if s.Keyless(bundle, cluster) {
			keyless = append(keyless, cluster)
		}
	}
	if len(keyless) == 0 {
		return ""
	}
	return fmt.Sprintf("no key of group %s for %s yet: a cluster that holds it wraps it once it is there (hanse get recipientgroups)", s.Sealed[bundle].group.Name, fewNames(keyless))
}
