package plan_test

import (
	"maps"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// follow lets changes that are over go where their clusters are by now: what fails later fails there.
func (w *world) follow() {
	for bundle, grants := range w.grants {
		for cluster := range grants {
			if w.clusters[cluster] != nil && w.isOver(bundle, cluster) {
				w.lay[[2]string{bundle, cluster}] = maps.Clone(w.clusters[cluster].labels)
			}
		}
	}
}

// isOver says that what a cluster was granted is not in change any more: no wave that has not settled has it, and it has been healthy with it, or
// is known to have taken it where some may fail.
func (w *world) isOver(bundle, cluster string) bool {
	taken := w.failures > 0 && w.clusters[cluster].told[bundle].Grant == w.grants[bundle][cluster].At
	return !w.inWave(bundle, cluster) && (taken || !w.unsound(bundle, cluster))
}

// inWave says that the log still counts a cluster to a wave of the bundle that has not settled: healthy for the moment, it may yet fail.
func (w *world) inWave(bundle, cluster string) bool {
	has := func(v v1alpha1.Wave) bool {
		return slices.Contains(v.Clusters, cluster) || slices.Contains(v.Withdraw, cluster)
	}
	for _, r := range w.rollouts {
		if r.Spec.Bundle != bundle || r.Status.Phase.Ended() {
			continue
		}
		open := slices.ContainsFunc(r.Spec.Carried, func(v v1alpha1.Wave) bool { return has(v) && slices.Contains(r.Status.InChange, v.Domain) })
		for i, v := range r.Spec.Waves {
			if r.Status.Waves[i].Granted != nil && has(v) {
				open = r.Status.Waves[i].Open()
			}
		}
		if open {
			return true
		}
	}
	return false
}

// unsound says that a cluster may do, or is doing, what it was granted.
func (w *world) unsound(bundle, cluster string) bool {
	g, there := w.grants[bundle][cluster]
	return there && !g.Held && (g.Withdraw || w.clusters[cluster].sound[bundle] != w.given[[2]string{bundle, cluster}])
}

// mayAct says that a cluster may do, or be doing, what it was granted, for all that the leader has heard.
func (w *world) mayAct(bundle, cluster string) bool {
	g, there := w.grants[bundle][cluster]
	told := w.clusters[cluster].told[bundle]
	return there && !g.Held && (g.Withdraw || told.Grant != g.At || told.Health != v1alpha1.HealthReady)
}

// changing are the fault domains in which a cluster may do, or is doing, what the log grants it. It knows of grants and of the clusters
// as they are, and nothing of rollouts. A cluster in change is where it was when that began. Where the fleet's label changed meanwhile,
// those of the label that makes them fewer count. Where a change may fail in some clusters, so many that are known to have taken it and are
// not healthy do not count, those by whose leave the domains are fewest.
func (w *world) changing() (fewest []string) {
	if now := w.fleet.Resolved().Domain; !slices.Contains(w.by, now) {
		w.by = append(w.by, now)
	}
	for i, label := range w.by {
		if domains := w.changingBy(label); i == 0 || len(domains) < len(fewest) {
			fewest = domains
		}
	}
	inChange := func(r *v1alpha1.Rollout) bool { return len(r.Status.InChange) > 0 }
	if !slices.ContainsFunc(slices.Collect(maps.Values(w.rollouts)), inChange) {
		w.by = nil // a fault domain that is in change ends as it began
	}
	return fewest
}

// changingBy are the fewest fault domains by a label outside of which no cluster is in change but those that may fail.
func (w *world) changingBy(label string) []string {
	all := map[string]bool{}
	home := func(bundle, cluster string) string { return w.lay[[2]string{bundle, cluster}][label] }
	for bundle, grants := range w.grants {
		for name := range grants {
			if w.unsound(bundle, name) {
				all[home(bundle, name)] = true
			}
		}
	}
	domains := slices.Sorted(maps.Keys(all))
	if w.failures == 0 {
		return domains
	}
	fewest := domains
	for set := range 1 << len(domains) {
		var some []string
		for i, d := range domains {
			if set&(1<<i) != 0 {
				some = append(some, d)
			}
		}
		if len(some) < len(fewest) && w.allElseMayFail(func(bundle, cluster string) bool { return slices.Contains(some, home(bundle, cluster)) }) {
			fewest = some
		}
	}
	return fewest
}

// allElseMayFail says that of each revision no more than so many clusters are in change elsewhere, and that these are known to have taken it.
func (w *world) allElseMayFail(counted func(bundle, cluster string) bool) bool {
	failed := map[string]int{}
	for bundle, grants := range w.grants {
		for name, g := range grants {
			if !w.unsound(bundle, name) || counted(bundle, name) {
				continue
			}
			failed[bundle+g.Revision]++
			if g.Withdraw || w.clusters[name].told[bundle].Grant != g.At || failed[bundle+g.Revision] > int(w.failures) {
				return false
			}
		}
	}
	return true
}
