package plan

import (
	"maps"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// addLate gives a rollout that runs waves for those that came too late for its others: who was away and is back, who has joined, who
// holds the key by now, who is picked no more. Who joins gets the last good revision first, which is the rollout's own once that went through.
// Settled are the stages to which they come late.
func (c *course) addLate(settled map[string]bool) {
	r := c.active
	late := c.reachable(c.wanted)
	if r.Spec.Moves {
		late = c.moved(late)
	}
	good := c.lastGood(r.Spec.Generation + 1)
	for i, w := range r.Spec.Waves {
		if r.Status.Waves[i].Over() {
			continue
		}
		for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
			delete(late, cluster)
		}
	}
	for cluster, n := range late {
		if c.presence(cluster) != here {
			delete(late, cluster)
			continue
		}
		if _, has := c.grantOf(cluster); !has && !n.withdraw && good != nil && c.change().is(r) {
			late[cluster] = need{instead: good.Spec.Revision}
		}
	}
	waves := c.cut(late, r.Status.InChange)
	for i := range waves {
		waves[i].Late = waves[i].Stage != "" && settled[waves[i].Stage] && !forJoiners(waves[i])
	}
	r.Spec.Waves = append(slices.Clone(r.Spec.Waves), waves...)
	r.Status.Waves = append(slices.Clone(r.Status.Waves), make([]v1alpha1.WaveStatus, len(waves))...)
}

// beginForJoiners gives the last good revision to clusters that join while the newest change is aborted: that one, once it went through. The others
// keep what they have.
func (c *course) beginForJoiners() {
	if good := c.lastGood(c.change().generation + 1); good != nil {
		c.begin(change{uid: good.Spec.BundleUID, revision: good.Spec.Revision, generation: good.Spec.Generation})
	}
}

// hasJoinedNot says that a cluster has, or had, something of the bundle: after an abort it keeps what it has.
func (c *course) hasJoinedNot(cluster string, n need) bool {
	_, has := c.grantOf(cluster)
	return n.withdraw || has
}

// lastGood is the newest rollout that went to its end with an earlier generation, nil when there is none.
func (c *course) lastGood(generation int64) (best *v1alpha1.Rollout) {
	for _, r := range c.rollouts {
		if c.good(r) && r.Spec.Generation < generation && newer(r, best) {
			best = r
		}
	}
	return best
}

// good says that a rollout of this bundle went through, somewhere.
func (c *course) good(r *v1alpha1.Rollout) bool {
	there := c.Revisions == nil || c.Revisions[r.Spec.Revision]
	return r.Status.Phase == v1alpha1.RolloutComplete && r.HasSettled() && there && c.bundle != nil && r.Spec.BundleUID == string(c.bundle.UID)
}

func newer(r, than *v1alpha1.Rollout) bool {
	if than == nil || r.Spec.Generation != than.Spec.Generation {
		return than == nil || r.Spec.Generation > than.Spec.Generation
	}
	return r.Spec.Number > than.Spec.Number
}

// trim takes out of the waves to come who does not need them any more, and whoever is away: they are owed. A wave without anybody goes.
func (c *course) trim() {
	r := c.running()
	if r == nil {
		return
	}
	var waves []v1alpha1.Wave
	var statuses []v1alpha1.WaveStatus
	h, lost := c.homes(), map[cell]bool{}
	for i, w := range r.Spec.Waves {
		if s := r.Status.Waves[i]; s.Granted != nil {
			waves, statuses = append(waves, w), append(statuses, s)
			continue
		}
		h.holdUnwanted(w)
		had := len(w.Clusters)
		w.Clusters, w.Withdraw = h.still(w, w.Clusters, false), h.still(w, w.Withdraw, true)
		lost[cellOf(w)] = lost[cellOf(w)] || len(w.Clusters) < had
		if len(w.Clusters)+len(w.Withdraw) > 0 {
			waves, statuses = append(waves, w), append(statuses, v1alpha1.WaveStatus{})
		}
	}
	r.Spec.Waves, r.Status.Waves = waves, statuses
	for at, has := range lost {
		if has {
			c.cutAgain(at)
		}
	}
	c.letGo()
	if len(r.Status.InChange) == 0 && r.Spec.Domain != c.Fleet.Domain { // it goes on by what the fleet says now
		c.goBy(c.Fleet.Domain)
		c.trim()
	}
}

// holdUnwanted takes back what clusters of a wave to come may still do that are not to have it any more, as who was gone for so long that others
// have it by now: nothing of the wave keeps their fault domain in change then.
func (h homes) holdUnwanted(w v1alpha1.Wave) {
	for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
		n, needs := h.wanted[cluster]
		if flips := !needs || n.withdraw != slices.Contains(w.Withdraw, cluster); flips && h.cluster(cluster) != nil && h.dangles(cluster) {
			h.takeBack(cluster)
		}
	}
}

// cell is a stage in a fault domain: each has a canary of its own.
type cell struct{ stage, domain string }

func cellOf(w v1alpha1.Wave) cell { return cell{w.Stage, w.Domain} }

// cutAgain cuts the waves to come of a cell anew that has lost a cluster: that may have been its canary. Where the change has begun it goes on as
// it is; so does who came late, and who gets the last good revision.
func (c *course) cutAgain(at cell) {
	r, policy := c.active, c.policy()
	var others []v1alpha1.Wave
	var statuses []v1alpha1.WaveStatus
	needs, first := map[string]need{}, -1
	for i, w := range r.Spec.Waves {
		switch {
		case cellOf(w) != at || forJoiners(w) || w.Late:
			others, statuses = append(others, w), append(statuses, r.Status.Waves[i])
			continue
		case r.Status.Waves[i].Granted != nil || c.underWay(w):
			return
		case first < 0:
			first = len(others)
		}
		for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
			needs[cluster] = c.wanted[cluster]
		}
	}
	if policy.Canary == nil || first < 0 {
		return
	}
	waves := c.cutDomain(c.homes(), at.domain, sorted(needs), needs, policy)
	for i := range waves {
		waves[i].Stage = at.stage
	}
	r.Spec.Waves, r.Status.Waves = slices.Insert(others, first, waves...), slices.Insert(statuses, first, make([]v1alpha1.WaveStatus, len(waves))...)
}

// still are the clusters of a wave that need it still, and can be given it. Who is in another fault domain or stage by now gets it there.
func (h homes) still(w v1alpha1.Wave, clusters []string, withdraw bool) (left []string) {
	for _, cluster := range clusters {
		n, needs := h.wanted[cluster]
		if needs && n.withdraw == withdraw && !h.beyond(cluster) && !h.lacksKey(cluster, withdraw) && h.of(cluster) == w.Domain && h.stageOf(cluster) == w.Stage {
			left = append(left, cluster)
		}
	}
	return left
}

// owed are the clusters that need something, and are in no wave to come.
func (c *course) owed() (clusters []string) {
	if !c.known {
		return c.active.Status.Owed
	}
	owed := maps.Clone(c.wanted)
	for i, w := range c.active.Spec.Waves {
		if !c.active.Status.Waves[i].Over() {
			for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
				delete(owed, cluster)
			}
		}
	}
	return sorted(owed)
}
