package plan

import (
	"fmt"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Evicted says that a bundle so placed did not tolerate any longer that a cluster is unreachable, as far as the log says. It does until
// the cluster has been back for the hold-down.
func Evicted(p v1alpha1.Placement, c *v1alpha1.Cluster) bool {
	u := c.Status.Unreachable
	if u == nil || u.Phase == v1alpha1.UnreachableReturning {
		return false
	}
	tolerated, ever := p.Tolerated()
	return !ever && u.Evicted.Duration >= tolerated
}

// reaches says whether a cluster may be picked, of those whose number is said, for all that is heard of it. One that has the bundle, is
// back, and was evicted, may: it keeps the bundle while nobody took it over.
func (d door) reaches(c *v1alpha1.Cluster, has bool) (why string, may bool) {
	u := c.Status.Unreachable
	if d.placement.NumberOfClusters == nil || u == nil || u.Phase == v1alpha1.UnreachableReturning {
		return "", true
	}
	evicted, back := Evicted(d.placement, c), u.Phase == v1alpha1.UnreachableBack
	switch {
	case has && evicted && back:
		return "", true
	case evicted && back:
		return "it was unreachable, and nothing new comes to it before its hold-down is over", false
	case evicted:
		tolerated, _ := d.placement.Tolerated()
		return fmt.Sprintf("nothing was heard of it for %s, and %s is tolerated", u.Evicted.Duration, tolerated), false
	case has || d.tolerates(v1alpha1.Taint{Key: v1alpha1.TaintUnreachable, Effect: v1alpha1.TaintNoSchedule}):
		return "", true
	}
	return "it is unreachable: nothing new comes to it", false
}

// redivide are the parts of those picked clusters that run a revision and are to have another part of it: when some of what is divided is
// nowhere, because clusters that had it left, or are gone for too long; and when one of these is back for good. Decided says whether
// that could be found out: first everybody is to have the revision. Who cannot be given anything keeps what it has.
func (c *course) redivide(h homes, picked []string, needs map[string]need, revision string) (parts map[string][]int32, decided bool) {
	division := c.bundle.Spec.Division
	if len(division) == 0 || c.Contents == nil {
		return nil, true
	}
	content, there := c.Contents(revision)
	if !there || len(content.Wholes) != len(division) {
		return nil, true
	}
	for cluster, n := range needs {
		if !n.withdraw && !h.beyond(cluster) {
			return nil, false
		}
	}
	has := map[string][]int32{} // of those that run the revision
	for _, cluster := range picked {
		if g, ok := c.grantOf(cluster); ok && !g.Withdraw && !g.Held && g.Revision == revision && g.Frozen != nil && len(g.Frozen.Divided) == len(division) {
			has[cluster] = g.Frozen.Divided
		}
	}
	parts = map[string][]int32{}
	for i, d := range division {
		if d.Stays() {
			continue
		}
		for cluster, part := range c.rest(h, i, d, content.Wholes[i], picked, has) {
			if part == has[cluster][i] {
				continue
			}
			if parts[cluster] == nil {
				parts[cluster] = slices.Clone(has[cluster])
			}
			parts[cluster][i] = part
		}
	}
	return parts, true
}

// rest are the parts of one division of those that run the revision, and can be given another.
func (c *course) rest(h homes, i int, d v1alpha1.Division, whole int32, picked []string, has map[string][]int32) map[string]int32 {
	parts, returning := map[string]int32{}, false
	var claims []Claim
	for _, name := range picked {
		cluster := c.cluster(name)
		_, runs := has[name]
		if Evicted(c.bundle.Spec.Placement, cluster) {
			if runs {
				parts[name] = 0
			}
			continue
		}
		u := cluster.Status.Unreachable
		returning = returning || runs && u != nil && u.Phase == v1alpha1.UnreachableReturning
		claim := Claim{Cluster: name, Weight: weightOf(d, cluster, c.Metrics[name]), Fixed: !runs || h.beyond(name)}
		if g, ok := c.grantOf(name); ok && !g.Withdraw && g.Frozen != nil && i < len(g.Frozen.Divided) {
			claim.Has = g.Frozen.Divided[i]
		}
		claims = append(claims, claim)
	}
	c.reserve(claims, whole, d)
	sum := int64(0)
	for _, claim := range claims {
		sum += int64(claim.Has)
	}
	if sum == int64(whole) && !returning {
		return parts
	}
	divided := Divide(whole, claims, d.By)
	for _, claim := range claims {
		if !claim.Fixed {
			parts[claim.Cluster] = divided[claim.Cluster]
		}
	}
	return parts
}

// reserve keeps for those that have an earlier revision, and are away, what they are to have of this one.
func (c *course) reserve(claims []Claim, whole int32, d v1alpha1.Division) {
	open := slices.Clone(claims)
	for i := range open {
		open[i].Fixed = false
	}
	var shares map[string]int32
	for i, claim := range claims {
		g, ok := c.grantOf(claim.Cluster)
		if !claim.Fixed || !ok || g.Withdraw || g.Revision == c.change().revision {
			continue
		}
		if shares == nil {
			shares = Divide(whole, open, d.By)
		}
		claims[i].Has = shares[claim.Cluster]
	}
}
