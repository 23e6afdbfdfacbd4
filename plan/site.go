package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// site is a cluster that may be picked, and what speaks for it.
type site struct {
	*v1alpha1.Cluster
	named, has bool
	// evicted says that it was unreachable for longer than the bundle tolerates, and is back.
	evicted bool
	cost    float64
	// free is how much of the cluster is free, in percent; !known: nobody said.
	free  int64
	known bool
}

func newSite(p v1alpha1.Placement, c *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus, has bool) site {
	one := site{Cluster: c, has: has, named: slices.Contains(p.Clusters, c.Name), evicted: Evicted(p, c)}
	if cost := c.Labels[v1alpha1.LabelCost]; cost != "" {
		one.cost, _ = strconv.ParseFloat(cost, 64)
	}
	if m.Capacity != nil {
		a, r := m.Capacity.Allocatable, m.Capacity.Requested
		one.free, one.known = min(percentFree(a.CPU, r.CPU), percentFree(a.Memory, r.Memory)), true
	}
	return one
}

func percentFree(of, taken resource.Quantity) int64 {
	whole := of.AsApproximateFloat64()
	if whole <= 0 {
		return 0
	}
	return min(max(int64((whole-taken.AsApproximateFloat64())/whole*100), 0), 100)
}

// full is a cluster with less than a tenth free.
func (c site) full() bool { return c.known && c.free < 10 }

// compare sorts the better one first: the named, those that are not full, the cheaper, those with more room. Room counts in
// tenths, so that a few pods make no difference.
func (c site) compare(d site) int {
	return cmp.Or(compareBool(d.named, c.named), compareBool(c.full(), d.full()), cmp.Compare(c.cost, d.cost),
		cmp.Compare(d.free/10, c.free/10), cmp.Compare(c.Name, d.Name))
}

// praise says what a cluster was picked for, beyond that it may be; among is whether there was a choice.
func (c site) praise(among bool) string {
	switch {
	case c.has:
		return "; it was chosen before"
	case !among:
		return ""
	}
	said := ""
	if c.cost > 0 {
		said += "; cost " + c.Labels[v1alpha1.LabelCost]
	}
	if c.known {
		said += fmt.Sprintf("; %d %% is free", c.free)
	}
	return said
}
