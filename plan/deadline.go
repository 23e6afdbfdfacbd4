package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// timed gives the waves that are granted the time until which they are to be healthy: what does not get there counts as failed, as
// else it would keep its fault domain for ever. After a stop the time begins anew when a person lets it go on, and with a new leader: there
// may have been none for long. So it does after a bundle was suspended, as nobody does what it is granted of that.
func (c *course) timed() {
	if c.stopped() {
		return
	}
	if c.suspended() != "" {
		c.untimed()
		return
	}
	allowed := c.allowed()
	least := c.Began.Add(allowed)
	for i := range c.active.Status.Waves {
		s := &c.active.Status.Waves[i]
		switch {
		case !s.Open():
		case s.Due == nil || s.Due.After(c.Now.Add(allowed+2*time.Second)): // or a clock was set back
			c.setDue(i)
		case s.Due.Time.Before(least):
			s.Due = &metav1.Time{Time: least.Truncate(time.Second)}
		}
	}
}

// setDue gives a wave its time.
func (c *course) setDue(i int) {
	s := &c.active.Status.Waves[i]
	s.Due = &metav1.Time{Time: c.stamp().Add(c.allowed())}
	if until, bound := c.active.Status.Until[c.active.Spec.Waves[i].Domain]; bound && until.Before(s.Due) {
		s.Due = &until
	}
}

// unhealthy says that a wave is not healthy any more. The time that it was does not count.
func (c *course) unhealthy(i int) {
	s, domain := &c.active.Status.Waves[i], c.active.Spec.Waves[i].Domain
	if s.Healthy == nil {
		return
	}
	was := max(c.Now.Sub(s.Healthy.Time), 0).Truncate(time.Second)
	s.Healthy = nil
	if s.Due != nil {
		s.Due = &metav1.Time{Time: s.Due.Add(was)}
	}
	if until, bound := c.active.Status.Until[domain]; bound {
		c.active.Status.Until[domain] = metav1.Time{Time: until.Add(was)}
	}
}

// untilOf is when the fault domains that a rollout leaves unsettled are to be settled by those that take its place. All of them have as long
// again, together: else a change every few minutes would keep its domain for ever.
func (c *course) untilOf(old *v1alpha1.Rollout, allowed time.Duration) map[string]metav1.Time {
	until := map[string]metav1.Time{}
	for i, w := range old.Spec.Waves {
		healthy := old.Status.Waves[i].Healthy
		c.unhealthy(i)
		s := old.Status.Waves[i]
		old.Status.Waves[i].Healthy = healthy // it ran: who goes back to it is to know
		if !s.Open() || s.Due == nil {
			continue
		}
		by := s.Due.Add(allowed)
		if earlier, said := until[w.Domain]; !said || by.Before(earlier.Time) {
			until[w.Domain] = metav1.Time{Time: by}
		}
	}
	maps.Copy(until, old.Status.Until)
	return until
}

// allowed is for how long a wave may be unhealthy.
func (c *course) allowed() time.Duration { return deadlineOf(c.active.Spec.ProgressDeadline.Duration) }

// untimed stops the clock of all waves.
func (c *course) untimed() {
	c.active.Status.Until = nil
	for i := range c.active.Status.Waves {
		c.active.Status.Waves[i].Due, c.active.Status.Waves[i].Late = nil, nil
	}
}

// arrivals takes down who gets healthy when it is too late.
func (c *course) arrivals(i int) {
	w, s := c.active.Spec.Waves[i], &c.active.Status.Waves[i]
	if s.Due == nil || c.Now.Before(s.Due.Time) {
		return
	}
	for _, cluster := range s.Waiting {
		if c.standing(cluster, c.revisionOf(w)) == runs && !slices.Contains(s.Late, cluster) {
			s.Late = append(slices.Clone(s.Late), cluster)
		}
	}
}

// overdue are the clusters of a wave that are not where it wants them, and it is too late.
func (c *course) overdue(i int) (late []string) {
	w, s := c.active.Spec.Waves[i], c.active.Status.Waves[i]
	by := c.Now
	if s.Healthy != nil {
		by = s.Healthy.Time // without who was too late by then
	}
	if !s.Open() || s.Due == nil || by.Before(s.Due.Time) {
		return nil
	}
	for _, cluster := range w.Clusters {
		if is := c.standing(cluster, c.revisionOf(w)); is != runs && is != gone && c.presence(cluster) != unheard {
			late = append(late, cluster)
		}
	}
	for _, cluster := range w.Withdraw {
		if c.leaving(cluster) != gone && c.presence(cluster) != unheard {
			late = append(late, cluster)
		}
	}
	return late
}

// failure says how the change fails in a cluster, for people.
func (c *course) failure(clusters []string, i int) string {
	first, it, verb := clusters[0], "it", "is not healthy"
	w := c.active.Spec.Waves[i]
	if forJoiners(w) {
		it = w.Revision + ", which who joins gets first,"
	}
	if slices.Contains(w.Withdraw, first) {
		verb = "is not gone"
	}
	switch {
	case slices.Contains(w.Clusters, first) && c.standing(first, c.revisionOf(w)) == fails:
		return fmt.Sprintf("%s fails in %s: %s", it, fewNames(clusters), c.problem(first))
	case c.presence(first) != here:
		return fmt.Sprintf("%s %s in %s after %s: nothing is heard of %s", it, verb, fewNames(clusters), c.allowed(), first)
	}
	return fmt.Sprintf("%s %s in %s after %s: %s", it, verb, fewNames(clusters), c.allowed(), c.problem(first))
}

// timesOf are the soak and the deadline of a rollout, within their bounds, whoever wrote the bundle. A deadline of nothing is none that was
// said.
func timesOf(b v1alpha1.BundleRollout) (soak, deadline metav1.Duration) {
	soak.Duration = min(max(b.Soak.Duration, 0), v1alpha1.MaxSoak)
	return soak, metav1.Duration{Duration: deadlineOf(b.ProgressDeadline.Duration)}
}

func deadlineOf(said time.Duration) time.Duration {
	if said <= 0 {
		return v1alpha1.DefaultProgressDeadline
	}
	return min(max(said, v1alpha1.MinDeadline), v1alpha1.MaxSoak)
}
