package plan

import (
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// observe takes down what is seen of the waves that are granted: who runs the change, what has settled, failed or was lost.
func (c *course) observe() {
	r := c.active
	if r == nil {
		return
	}
	r.Status.Waves = slices.Grow(r.Status.Waves, len(r.Spec.Waves))[:len(r.Spec.Waves)]
	c.endLosses()
	c.giveUpLost()
	c.timed()
	c.read()
	f := c.failures()
	for i := range r.Status.Waves {
		if r.Status.Waves[i].Open() {
			c.look(i, f)
		}
	}
	c.giveWay()
	if r.Spec.Orders.Aborted {
		c.abort()
	}
	c.letGo()
}

func (c *course) revisionOf(w v1alpha1.Wave) string {
	if w.Revision != "" {
		return w.Revision
	}
	return c.active.Spec.Revision
}

// look passes one wave through the gate: all of it runs the change, healthy, and has for as long as the rollout soaks.
func (c *course) look(i int, f failures) {
	wave, status := c.active.Spec.Waves[i], &c.active.Status.Waves[i]
	here := f.in(wave)
	c.arrivals(i)
	c.watchFailure(i, f, here)
	lasting := status.Failing != nil && c.seen(status.Failing.Time) >= failedAfter
	borne := func(cluster string) bool { return f.borne[cluster] && (lasting || f.late[cluster]) }
	waiting, heard := c.waitingFor(wave, borne)
	status.Waiting = waiting
	passes := c.pass(i, len(waiting) == 0)
	switch {
	case len(waiting) == 0 && !passes:
		c.unhealthy(i)
		c.watchGates(i)
		return
	case len(waiting) == 0 && (status.Healthy == nil || status.Healthy.After(c.Now.Add(2*time.Second))): // or a clock was set back
		status.Healthy = c.stamp()
	case heard:
		c.unhealthy(i)
	}
	if soak := c.soakOf(wave); len(waiting) == 0 && (soak == 0 || !c.Now.Before(c.soaked(status.Healthy.Time, soak))) {
		status.Settled, status.Failed = c.stamp(), here
		delete(c.active.Status.Until, wave.Domain)
		c.holdDespite(wave)
	}
}

// waitingFor are the clusters of a wave that the gate waits for; heard says that one of them was heard of, or should have been.
func (c *course) waitingFor(wave v1alpha1.Wave, borne func(cluster string) bool) (waiting []string, heard bool) {
	wait := func(cluster string, s standing) {
		if s == gone || s == runs || borne(cluster) || slices.Contains(c.active.Spec.Orders.Despite, cluster) {
			return
		}
		waiting = append(waiting, cluster)
		heard = heard || c.presence(cluster) != unheard
	}
	for _, cluster := range wave.Clusters {
		wait(cluster, c.standing(cluster, c.revisionOf(wave)))
	}
	for _, cluster := range wave.Withdraw {
		wait(cluster, c.leaving(cluster))
	}
	return waiting, heard
}

// watchFailure takes down since when a wave fails, and stops the rollout when it has for a while, in clusters whose failure is not borne. Who was
// late and falls again has failed: else it could do so every few seconds, for ever.
func (c *course) watchFailure(i int, f failures, here []string) {
	status := &c.active.Status.Waves[i]
	unborne := slices.DeleteFunc(slices.Clone(here), func(cluster string) bool { return f.borne[cluster] })
	late := slices.ContainsFunc(unborne, func(cluster string) bool { return f.late[cluster] })
	switch {
	case len(here) == 0 || c.stopped():
		status.Failing = nil
	case late:
		c.fail(i, c.failure(unborne, i))
	case status.Failing == nil || status.Healthy != nil && len(unborne) > 0: // it was healthy but for those that are borne
		status.Failing = c.stamp()
	case len(unborne) > 0 && c.seen(status.Failing.Time) >= failedAfter:
		c.fail(i, c.failure(unborne, i))
	}
}

// problem is what the member of a cluster says is wrong.
func (c *course) problem(cluster string) string {
	g, _ := c.grantOf(cluster)
	switch w, told := c.told(cluster, g); {
	case len(w.Problems) > 0:
		return Name(w.Problems[0].ObjectRef) + ": " + w.Problems[0].Message
	case g.Withdraw:
		return "objects of it are still there"
	case !told || w.Applied != g.Revision:
		return "it has not applied it yet"
	}
	return "its objects are not healthy"
}

// stopped says that a person must say how to go on.
func (c *course) stopped() bool { return c.active.Stopped() }

func (c *course) stop(why string) {
	if !c.stopped() {
		c.active.Status.Stops++
	}
	c.active.Status.Stopped = why
	c.untimed()
}

// hold gives a fault domain up unsettled. What its clusters were granted and are not known to run is taken back: they touch nothing,
// whenever they come back, until they are granted something again.
func (c *course) hold(domain string) {
	r, h := c.active, c.homes()
	for _, cluster := range sorted(c.Grants[c.name]) {
		if h.dangles(cluster) && h.of(cluster) == domain {
			c.takeBack(cluster)
		}
	}
	for i, w := range r.Spec.Waves {
		if s := &r.Status.Waves[i]; w.Domain == domain && s.Open() {
			s.Released, s.Waiting = c.stamp(), nil
		}
	}
	r.Status.InChange = slices.DeleteFunc(slices.Clone(r.Status.InChange), func(d string) bool { return d == domain })
}

// holdAll gives up all fault domains that the rollout changes.
func (c *course) holdAll() {
	for _, domain := range c.active.Status.InChange {
		c.hold(domain)
	}
}

// takeBack holds what a cluster was granted.
func (c *course) takeBack(cluster string) {
	g, _ := c.grantOf(cluster)
	g.Held = true
	c.granted[cluster] = g
}

// holdDespite takes back what clusters of a wave were granted that it goes on without, and of which nothing is heard, or which only look: they
// would do it whenever they come back, or a person says go.
func (c *course) holdDespite(w v1alpha1.Wave) {
	for _, cluster := range c.active.Spec.Orders.Despite {
		idle := c.presence(cluster) != here || c.Looking[cluster]
		if in(w, cluster) && c.cluster(cluster) != nil && idle && !c.proven(cluster) {
			c.takeBack(cluster)
		}
	}
}

// abort ends the rollout where it is. What is not healthy is left as it is: nobody touches it until the next change.
func (c *course) abort() {
	c.holdAll()
	c.end(v1alpha1.RolloutAborted, "a person ended it")
}

// letGo ends the change of fault domains in which nothing is under way or about to be.
func (c *course) letGo() {
	r, rank := c.active, c.rank()
	r.Status.InChange = slices.DeleteFunc(slices.Clone(r.Status.InChange), func(domain string) bool {
		for i, w := range r.Spec.Waves {
			if w.Domain == domain && c.ahead(i, rank) {
				return false
			}
		}
		return true
	})
	if len(r.Status.InChange) == 0 {
		r.Status.InChange = nil
	}
	maps.DeleteFunc(r.Status.Until, func(domain string, _ metav1.Time) bool { return !slices.Contains(r.Status.InChange, domain) })
	if len(r.Status.Until) == 0 {
		r.Status.Until = nil
	}
	carried := slices.DeleteFunc(slices.Clone(r.Spec.Carried), func(w v1alpha1.Wave) bool { return !slices.Contains(r.Status.InChange, w.Domain) })
	if r.Spec.Carried = carried; len(carried) == 0 {
		r.Spec.Carried = nil
	}
}
