package plan

import (
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// failures of a change that no person said to go on despite.
type failures struct {
	// all are the clusters in which it fails, or does not get there in time.
	all map[string]bool
	// joined are those of them in which the last good revision does, that who joins gets first: they say nothing of the change.
	joined map[string]bool
	// late are those that are not healthy in time, and have been healthy since.
	late map[string]bool
	// borne are those that no wave waits for, when they are not more than the change may fail in.
	borne map[string]bool
}

// failures of the rollout that runs. Who failed in a wave that has settled counts until it is healthy, also in rollouts of the change
// before this one.
func (c *course) failures() failures {
	f := failures{all: map[string]bool{}, joined: map[string]bool{}, late: map[string]bool{}, borne: map[string]bool{}}
	for i, w := range c.active.Spec.Waves {
		if s := c.active.Status.Waves[i]; s.Granted == nil || s.Released != nil {
			continue
		}
		for _, cluster := range w.Clusters {
			if c.standing(cluster, c.revisionOf(w)) == fails {
				f.all[cluster], f.joined[cluster] = true, forJoiners(w)
			}
		}
		for _, cluster := range c.overdue(i) {
			f.all[cluster], f.joined[cluster], f.late[cluster] = true, forJoiners(w), slices.Contains(c.active.Status.Waves[i].Late, cluster)
		}
	}
	for _, cluster := range c.failedBefore() {
		f.all[cluster] = true
	}
	for _, cluster := range c.active.Spec.Orders.Despite {
		delete(f.all, cluster)
	}
	number := map[bool]int{}
	for cluster := range f.all {
		number[f.joined[cluster]]++
	}
	for cluster := range f.all {
		f.borne[cluster] = number[f.joined[cluster]] <= int(c.active.Spec.MaxFailures) && c.hasTaken(cluster)
	}
	return f
}

// failedBefore are the clusters that waves of this change were settled without, and that are not healthy by now. Of one that was granted it anew
// the wave tells that this is in: it may have joined again, and has nothing but the name of what failed.
func (c *course) failedBefore() (clusters []string) {
	same, anew := changeOf(c.active), map[string]bool{}
	for i, w := range c.active.Spec.Waves {
		for _, cluster := range w.Clusters {
			anew[cluster] = anew[cluster] || c.active.Status.Waves[i].Open()
		}
	}
	for r := range c.all() {
		if !same.is(r) {
			continue
		}
		for i, s := range r.Status.Waves {
			if forJoiners(r.Spec.Waves[i]) {
				continue
			}
			clusters = append(clusters, slices.DeleteFunc(slices.Clone(s.Failed), func(cluster string) bool { return anew[cluster] || c.proven(cluster) })...)
		}
	}
	slices.Sort(clusters)
	return slices.Compact(clusters)
}

// hasTaken says that a cluster is heard, and has begun the very thing that it was granted, as far as Hanse brings it. Who is silent, or has
// not come to it, be it that it only looks, may do it at any time: that its fault domain is let go is not for a number to say.
func (c *course) hasTaken(cluster string) bool {
	g, ok := c.grantOf(cluster)
	w, told := c.told(cluster, g)
	begun := w.Applied == g.Revision || slices.ContainsFunc(w.Problems, notRendered)
	if g.Withdraw {
		begun = !c.Looking[cluster]
	}
	return ok && told && c.presence(cluster) == here && begun
}

// in are the failures in a wave.
func (f failures) in(w v1alpha1.Wave) (clusters []string) {
	for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
		if f.all[cluster] {
			clusters = append(clusters, cluster)
		}
	}
	return clusters
}
