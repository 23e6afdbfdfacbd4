package plan

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// fail stops the rollout because a wave of it fails. Where the bundle says so, the fleet goes back to the last good revision by itself: once, as a
// rollout that takes a change back only stops. So does one that a person paused: nothing moves on behind their back.
func (c *course) fail(i int, why string) {
	r, back := c.active, ""
	if c.wentThrough(r.Spec.Generation) || forJoiners(r.Spec.Waves[i]) {
		c.stop(why) // it is what the fleet runs: who comes to it later and fails takes it from nobody
		return
	}
	if r.Spec.OnFailure == v1alpha1.OnFailureRollback && r.Spec.Undoes == "" && c.bundle != nil && c.change().is(r) {
		switch good := c.lastGood(r.Spec.Generation); {
		case r.Spec.Orders.Paused:
			why += "; a person paused it, so nothing goes back by itself"
		case good != nil:
			back = good.Spec.Revision
		default:
			why += "; no revision before it went through that it could go back to"
		}
	}
	c.stop(why)
	r.Status.Back = back
}

// wentThrough says that a generation of the bundle went through already: what is rolled out of it is for those that came later.
func (c *course) wentThrough(generation int64) bool {
	return slices.ContainsFunc(c.rollouts, func(r *v1alpha1.Rollout) bool { return c.good(r) && r.Spec.Generation == generation })
}

// takenBack is the rollout of what is to be rolled out when it has failed and the fleet goes, or went, back to the revision before: until the
// bundle changes, or a person lets the rollout go on. nil: there is none.
func (c *course) takenBack() *v1alpha1.Rollout {
	if c.bundle == nil {
		return nil
	}
	r := c.last()
	if r == nil || r.Status.Back == "" || !r.Stopped() || r.Status.Phase.Ended() && r.Status.Phase != v1alpha1.RolloutRolledBack {
		return nil
	}
	return r
}

// needsBack are the clusters that get the revision that the fleet goes back to: those that have the change, or something older, and those that
// join. What is withdrawn already goes on. After a person has aborted that, only those that join.
func (c *course) needsBack(failed *v1alpha1.Rollout) map[string]need {
	needs, h := map[string]need{}, c.homes()
	ended := c.endedBack(failed)
	for cluster, n := range c.wanted {
		g, has := c.grantOf(cluster)
		switch {
		case !has, n.withdraw && g.Withdraw:
			needs[cluster] = n
		case !n.withdraw && !ended && (g.Revision != failed.Status.Back || g.Held || h.dangles(cluster)):
			needs[cluster] = need{}
		}
	}
	for cluster := range c.Grants[c.name] {
		g, has := c.grantOf(cluster)
		if has && !ended && !g.Withdraw && g.Revision == failed.Spec.Revision && c.cluster(cluster) != nil {
			needs[cluster] = need{}
		}
	}
	return needs
}

// endedBack says that a person ended what takes the change of a rollout back. Who joined since had a rollout of the same revision later.
func (c *course) endedBack(failed *v1alpha1.Rollout) bool {
	for r := range c.all() {
		if r.Spec.Undoes == failed.Name && aborted(r) {
			return true
		}
	}
	return false
}

// changeBack is what takes the change of a rollout back; it has no revision when nobody remembers it.
func (c *course) changeBack(failed *v1alpha1.Rollout) change {
	for _, r := range c.rollouts {
		if r.Spec.Revision == failed.Status.Back && (c.Revisions == nil || c.Revisions[r.Spec.Revision]) {
			ch := changeOf(r)
			ch.undoes = failed
			return ch
		}
	}
	return change{}
}

func (c *course) beginBack(failed *v1alpha1.Rollout) {
	if ch := c.changeBack(failed); ch.revision != "" {
		c.begin(ch)
	}
}

// undoing makes a rollout one that takes a change back: it asks nobody, waits for no window, and its clusters need not pass gates, which are
// about what changes bring.
func undoing(s *v1alpha1.RolloutSpec, failed string) {
	s.Approval, s.Windows, s.Stages = v1alpha1.ApprovalNever, nil, slices.Clone(s.Stages)
	s.Undoes, s.OnFailure, s.Gates = failed, v1alpha1.OnFailurePause, nil
	for i := range s.Stages {
		s.Stages[i].Approval, s.Stages[i].Windows, s.Stages[i].Gates = "", nil, nil
	}
}

// RolledBack are, by the UID of its bundle, the newest rollouts of bundles as they are now that have failed, and whose clusters have the
// revision before again.
func RolledBack(bundles []*v1alpha1.Bundle, rollouts []*v1alpha1.Rollout) map[types.UID]*v1alpha1.Rollout {
	return newestOf(bundles, rollouts, wentBack)
}

// wentBack says that a rollout failed and was taken back, and no person has let it go on since.
func wentBack(r *v1alpha1.Rollout) bool {
	return r.Status.Phase == v1alpha1.RolloutRolledBack && r.Stopped()
}

// Aborted are, by the UID of its bundle, the newest rollouts of bundles as they are now that a person ended, and has not let go on since.
func Aborted(bundles []*v1alpha1.Bundle, rollouts []*v1alpha1.Rollout) map[types.UID]*v1alpha1.Rollout {
	return newestOf(bundles, rollouts, aborted)
}

// newestOf are the newest rollouts of bundles as they are now, those of them that are so.
func newestOf(bundles []*v1alpha1.Bundle, rollouts []*v1alpha1.Rollout, are func(*v1alpha1.Rollout) bool) map[types.UID]*v1alpha1.Rollout {
	newest, errands := map[types.UID]*v1alpha1.Rollout{}, ErrandsOf(rollouts)
	for _, b := range bundles {
		if r := errands.Of(string(b.UID), b.Generation).Rollout; r != nil && are(r) {
			newest[b.UID] = r
		}
	}
	return newest
}

// SetRolledBack says of a bundle that it is not rolled out because that has failed.
func SetRolledBack(s *v1alpha1.BundleStatus, r *v1alpha1.Rollout, now time.Time) {
	SetReady(&s.Conditions, metav1.ConditionFalse, string(v1alpha1.RolloutRolledBack), r.Status.Message, s.ObservedGeneration, now)
}
