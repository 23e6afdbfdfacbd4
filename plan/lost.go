package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// endLosses takes fault domains that are heard again from those whose loss the rollout began with: lost once more, they stop it like others.
func (c *course) endLosses() {
	label := c.label()
	for i := range c.Clusters {
		if c.presence(c.Clusters[i].Name) == here {
			domain := c.Clusters[i].Labels[label]
			c.active.Spec.Without = slices.DeleteFunc(slices.Clone(c.active.Spec.Without), func(d string) bool { return d == domain })
		}
	}
	if len(c.active.Spec.Without) == 0 {
		c.active.Spec.Without = nil
	}
}

// giveUpLost lets go of a fault domain that was lost while the rollout changed it, so that others can go on elsewhere. Its clusters
// may come back at any time: what they were granted and are not known to run is held, so that nothing becomes active then
// without the lease. The change may be what killed them, so a person must say how to go on.
func (c *course) giveUpLost() {
	for _, domain := range c.active.Status.InChange {
		if c.isLost(domain) {
			c.hold(domain)
			c.stop(fmt.Sprintf("fault domain %s was lost while it was in change", named(domain)))
		}
	}
}

// waitsOut are the lost fault domains that the rollout waits for: it began before they were lost, or the fleet is to stand still
// meanwhile, and no person said to go on.
func (c *course) waitsOut() (domains []string) {
	for _, domain := range c.lost() {
		began := slices.Contains(c.active.Spec.Without, domain) && c.Fleet.WhileLost != v1alpha1.WhileLostFreeze
		if !began && !slices.Contains(c.active.Spec.Orders.Without, domain) {
			domains = append(domains, domain)
		}
	}
	return domains
}

// lostText says what the rollout waits for.
func (c *course) lostText() string {
	domains := strings.Join(c.active.Status.Lost, ", ")
	for _, domain := range c.active.Status.Lost {
		if !slices.Contains(c.active.Spec.Without, domain) {
			return "it began before fault domain " + domains + " was lost"
		}
	}
	return "fault domain " + domains + " is lost, and the fleet is to stand still meanwhile"
}

// isLost says that none of the clusters was heard for long that are in a fault domain, or were when they were granted the change.
func (c *course) isLost(domain string) bool {
	there, h := false, c.homes()
	for i := range c.Clusters {
		name := c.Clusters[i].Name
		if h.of(name) != domain {
			continue
		}
		if there = true; c.presence(name) != lost {
			return false
		}
	}
	return there
}

// lost are the fault domains of which no cluster was heard for long, sorted.
func (c *course) lost() []string {
	label := c.label()
	if all, known := c.lostBy[label]; known {
		return all
	}
	living := map[string]bool{}
	for i := range c.Clusters {
		d := c.Clusters[i].Labels[label]
		living[d] = living[d] || c.presence(c.Clusters[i].Name) != lost
	}
	var all []string
	for d, lives := range living {
		if !lives {
			all = append(all, d)
		}
	}
	slices.Sort(all)
	c.lostBy[label] = all
	return all
}

// named is a fault domain for people.
func named(domain string) string {
	if domain == "" {
		return "(no label)"
	}
	return domain
}
