package plan

import (
	"fmt"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// lacks says what a wave waits for before it gives the bundle to its clusters: other bundles that are not ready there yet. Who enters a fault
// domain waits for all that its stage is about to give there, who is in it for those of this wave and of the waves before it. What is under way
// waits for none: they may be waiting for its fault domain themselves.
func (c *course) lacks(i int) string {
	r, w := c.active, c.active.Spec.Waves[i]
	if c.bundle == nil || len(c.bundle.Spec.DependsOn) == 0 || len(w.Clusters) == 0 || r.Spec.Orders.AllAtOnce || c.underWay(w) {
		return ""
	}
	inChange := slices.Contains(r.Status.InChange, w.Domain)
	var clusters []string
	for j, of := range r.Spec.Waves {
		if of.Domain == w.Domain && of.Stage == w.Stage && r.Status.Waves[j].Granted == nil && (j <= i || !inChange) {
			clusters = append(clusters, of.Clusters...)
		}
	}
	for _, name := range c.bundle.Spec.DependsOn {
		on := c.courses[name]
		if on == nil || on.bundle == nil {
			return fmt.Sprintf("waits for bundle %s, which is not there; write it, or take it out of spec.dependsOn", name)
		}
		late := slices.DeleteFunc(slices.Clone(clusters), on.readyIn)
		if len(late) > 0 {
			return fmt.Sprintf("%s waits for bundle %s, which is not ready in %s: hanse explain %s", named(w.Domain), name, fewNames(late), name)
		}
	}
	return ""
}

// readyIn says that a cluster runs what it is to run of a bundle, healthy, or is to run nothing of it, or that the bundle itself waits for
// it no more.
func (c *course) readyIn(cluster string) bool {
	if c.wentOnWithout(cluster) {
		return true
	}
	need, needs := c.wanted[cluster]
	if !c.known || needs && !need.withdraw {
		return false
	}
	g, has := c.grantOf(cluster)
	if has && g.Withdraw { // of an earlier bundle of the name, perhaps: this one comes then
		picked, err := c.picked()
		return err == nil && !among(picked, cluster)
	}
	return !has || !g.Held && c.runsWell(cluster, g)
}

// wentOnWithout says that the bundle, as it is now, was given to a cluster and does not wait until it is healthy there: a person said to go on
// despite it, or its change is complete and could bear that it failed.
func (c *course) wentOnWithout(cluster string) bool {
	g, has := c.grantOf(cluster)
	now := c.change()
	for r := range c.all() {
		if !has || !now.is(r) || g.Revision != r.Spec.Revision {
			continue
		}
		failed := func(s v1alpha1.WaveStatus) bool { return slices.Contains(s.Failed, cluster) }
		if slices.Contains(r.Spec.Orders.Despite, cluster) || r.Status.Phase == v1alpha1.RolloutComplete && slices.ContainsFunc(r.Status.Waves, failed) {
			return true
		}
	}
	return false
}

// Cycle is a way from a bundle back to itself by what bundles depend on, nil when there is none. The bundle is its first and its last.
func Cycle(bundle string, dependsOn func(bundle string) []string) []string {
	seen := map[string]bool{}
	var back func(from string) []string
	back = func(from string) []string {
		for _, on := range dependsOn(from) {
			if on == bundle {
				return []string{from, bundle}
			}
			if seen[on] {
				continue
			}
			seen[on] = true
			if way := back(on); way != nil {
				return append([]string{from}, way...)
			}
		}
		return nil
	}
	return back(bundle)
}
