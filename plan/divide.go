package plan

import (
	"cmp"
	"math/big"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Parting is what the parts of a bundle's divisions are decided from.
type Parting struct {
	Placement v1alpha1.Placement
	Division  []v1alpha1.Division
	// Wholes are the numbers that are divided, one a division.
	Wholes []int32
	// Revision that says so. What was granted of it stays.
	Revision string
	Picked   []string
	Ground   Ground
	// Grants of the bundle, by cluster.
	Grants map[string]v1alpha1.Grant
}

// Parts is what a cluster is to have of each division. One that is not picked has no part.
func Parts(p Parting, cluster string) []int32 {
	parts := make([]int32, len(p.Division))
	for i, d := range p.Division {
		parts[i] = Divide(p.Wholes[i], p.claims(i, d), d.By)[cluster]
	}
	return parts
}

// claims are those of the picked clusters to a division. One that is gone for longer than the bundle tolerates has none, but what it was
// granted of a Job.
func (p Parting) claims(i int, d v1alpha1.Division) (all []Claim) {
	for _, name := range p.Picked {
		cluster := p.Ground.Cluster(name)
		if cluster == nil {
			continue
		}
		c := Claim{Cluster: name, Weight: weightOf(d, cluster, p.Ground.Metrics[name])}
		if g := p.Grants[name]; !g.Withdraw && g.Frozen != nil && i < len(g.Frozen.Divided) {
			c.Has, c.Fixed = g.Frozen.Divided[i], g.Revision == p.Revision
		}
		if Evicted(p.Placement, cluster) && !(c.Fixed && d.Stays()) {
			continue
		}
		all = append(all, c)
	}
	return all
}

func weightOf(d v1alpha1.Division, c *v1alpha1.Cluster, m v1alpha1.ClusterMetricsStatus) int64 {
	if d.By == v1alpha1.DivideByFreeCapacity {
		if m.Capacity == nil {
			return 0
		}
		return max(m.Capacity.Allocatable.CPU.MilliValue()-m.Capacity.Requested.CPU.MilliValue(), 0)
	}
	for _, w := range d.Weights {
		if c.Chosen(w.Clusters, w.ClusterSelector) {
			return int64(w.Weight)
		}
	}
	if len(d.Weights) > 0 {
		return 0
	}
	return 1
}

// Claim is what a cluster has, and may have, of a number that is divided.
type Claim struct {
	Cluster string
	Weight  int64
	// Has is its part now. Fixed says that it keeps that, whatever the rest comes to.
	Has   int32
	Fixed bool
}

// Divide divides a number. The parts add up to it, unless those that are fixed are more already. By weight, each part is within
// one of what its weight asks for, and who has more now keeps it, of equals. By free capacity, everybody keeps what he has, and only
// the difference is divided. Where nobody weighs anything, all weigh the same.
func Divide(whole int32, claims []Claim, by v1alpha1.DivideBy) map[string]int32 {
	parts, rest, have := map[string]int32{}, int64(whole), int64(0)
	var open []Claim
	for _, c := range claims {
		if c.Fixed {
			parts[c.Cluster] = c.Has
			rest -= int64(c.Has)
			continue
		}
		open = append(open, c)
		have += int64(c.Has)
	}
	rest = max(rest, 0)
	slices.SortFunc(open, func(a, b Claim) int { return cmp.Compare(a.Cluster, b.Cluster) })
	if by != v1alpha1.DivideByFreeCapacity {
		apportion(rest, open, func(i int, n int64) { parts[open[i].Cluster] = int32(n) })
		return parts
	}
	for _, c := range open {
		parts[c.Cluster] = c.Has
	}
	if rest >= have {
		for i := range open {
			open[i].Has = 0 // what comes on top is new to everybody
		}
		apportion(rest-have, open, func(i int, n int64) { parts[open[i].Cluster] += int32(n) })
		return parts
	}
	for i := range open {
		open[i].Weight, open[i].Has = int64(open[i].Has), 0
	}
	apportion(have-rest, open, func(i int, n int64) { parts[open[i].Cluster] -= int32(n) })
	return parts
}

// apportion divides a number by weights: each gets the whole part of its quota, and what is left goes one by one to those who had
// more than that, then to the largest remainders, then by name.
func apportion(whole int64, claims []Claim, give func(i int, n int64)) {
	sum := int64(0)
	for _, c := range claims {
		sum += c.Weight
	}
	type quota struct {
		i         int
		n         int64
		remainder int64
		had       bool
	}
	left, all := whole, make([]quota, len(claims))
	for i, c := range claims {
		weight, of := c.Weight, sum
		if sum == 0 {
			weight, of = 1, int64(len(claims))
		}
		n, remainder := new(big.Int).QuoRem(new(big.Int).Mul(big.NewInt(whole), big.NewInt(weight)), big.NewInt(of), new(big.Int))
		all[i] = quota{i, n.Int64(), remainder.Int64(), int64(c.Has) > n.Int64()}
		left -= all[i].n
	}
	slices.SortStableFunc(all, func(a, b quota) int {
		return cmp.Or(compareBool(b.remainder > 0, a.remainder > 0), compareBool(b.had, a.had), cmp.Compare(b.remainder, a.remainder))
	})
	for k, q := range all {
		if int64(k) < left {
			q.n++
		}
		give(q.i, q.n)
	}
}
