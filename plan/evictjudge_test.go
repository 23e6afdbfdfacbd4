package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// note lets the leader write down who is unreachable, and judges it. It says whether there was anything.
func (w *world) note() bool {
	s := w.situation()
	heard := []string{"a", "b"}
	if w.deaf {
		heard = heard[:1]
	}
	last := w.evicted
	if last.Before(w.began) {
		last = w.began
	}
	next, evicted := w.watch(s, plan.Quorum{Heard: heard, Voters: 3, Evicted: last, Refused: map[string]bool{w.refused: true}})
	if w.refused != "" {
		delete(next, w.refused)
	}
	for _, name := range slices.Sorted(maps.Keys(next)) {
		w.judgeNote(name, next[name])
		w.clusters[name].unreachable = next[name]
		if next[name] == nil { // it is as if nothing had been, and what it has is its own again
			w.clusters[name].evicted = map[string]bool{}
			maps.DeleteFunc(w.clusters[name].gone, func(bundle string, _ time.Time) bool {
				g, has := w.grants[bundle][name]
				return has && !g.Withdraw
			})
		}
	}
	if next[evicted] != nil {
		w.evicted = w.now
	}
	w.see()
	return len(next) > 0
}

// see takes down which clusters are silent for so long that a bundle that they have does not tolerate it any more. It knows of the clusters as they
// are, and nothing of what the log says of them.
func (w *world) see() {
	for name, c := range w.clusters {
		for bundle, b := range w.bundles {
			g, has := w.grants[bundle][name]
			tolerated, ever := b.Spec.Placement.Tolerated()
			if has && !g.Withdraw && !ever && !c.heard && w.now.Sub(c.silence) >= tolerated+30*time.Second {
				c.gone[bundle] = w.now
			}
		}
	}
}

// judgeNote looks at what is written of a cluster: that nobody is evicted too early, too many a minute, or while too many are gone, and
// that nobody returns too early.
func (w *world) judgeNote(name string, u *v1alpha1.Unreachable) {
	c := w.clusters[name]
	if u != nil && u.Phase == v1alpha1.UnreachableReturning {
		if holds := w.fleet.Resolved().Eviction.HoldDown.Duration; w.now.Sub(c.since) < holds {
			w.hasty = append(w.hasty, fmt.Sprintf("%s is back for %s, and is to be for %s", name, w.now.Sub(c.since), holds))
		}
		c.evicted = map[string]bool{}
	}
	if u == nil || c.unreachable == nil || u.Phase != v1alpha1.UnreachableGone || u.Evicted == c.unreachable.Evicted {
		return
	}
	crossed := false
	for bundle, b := range w.bundles {
		tolerated, ever := b.Spec.Placement.Tolerated()
		if _, has := w.grants[bundle][name]; has && !ever && b.Spec.Moves() && c.unreachable.Evicted.Duration < tolerated && tolerated <= u.Evicted.Duration {
			crossed, c.evicted[string(b.UID)] = true, true
			c.gone[bundle] = w.now // one that comes back for a moment is evicted sooner than one that was there all the time, and no sooner than is tolerated
			if silent := w.now.Sub(c.silence); c.heard || silent < tolerated {
				w.hasty = append(w.hasty, fmt.Sprintf("%s loses %s after %s of silence, and %s is tolerated", name, bundle, silent, tolerated))
			}
		}
	}
	if !crossed {
		return
	}
	e := w.fleet.Resolved().Eviction
	w.evictions = append(w.evictions, w.now)
	if n := len(w.evictions) - 1 - int(e.PerMinute); n >= 0 && w.now.Sub(w.evictions[n]) < time.Minute {
		w.hasty = append(w.hasty, fmt.Sprintf("more than %d clusters are evicted within %s", e.PerMinute, w.now.Sub(w.evictions[n])))
	}
	gone := 0
	for _, c := range w.clusters {
		if !c.heard && w.now.Sub(c.silence) >= 30*time.Second {
			gone++
		}
	}
	if gone*100 > int(e.MaxPercent)*len(w.clusters) || w.deaf || w.fleet.Freeze != nil {
		w.hasty = append(w.hasty, fmt.Sprintf("%s is evicted while %d of %d clusters are gone", name, gone, len(w.clusters)))
	}
}

// judgeJob looks at a grant: what a cluster has of a Job stays while it has the revision, and all parts of it together are no more than is
// divided.
func (w *world) judgeJob(bundle, cluster string, g v1alpha1.Grant) {
	b, before := w.bundles[bundle], w.grants[bundle][cluster]
	if b == nil || g.Frozen == nil || g.Withdraw || g.Held {
		return
	}
	for i, d := range b.Spec.Division {
		if d.Target.Kind != "Job" {
			continue
		}
		if n := g.Frozen.Divided[i]; before.Frozen != nil && !before.Withdraw && before.BundleUID == g.BundleUID && before.Revision == g.Revision && before.Frozen.Divided[i] != n {
			w.hasty = append(w.hasty, fmt.Sprintf("%s has %d of the Job of %s in %s, and had %d", cluster, n, bundle, g.Revision, before.Frozen.Divided[i]))
		}
		sum := g.Frozen.Divided[i]
		for other, has := range w.grants[bundle] {
			if other != cluster && has.Frozen != nil && !has.Withdraw && has.Revision == g.Revision {
				sum += has.Frozen.Divided[i]
			}
		}
		if sum > w.wholes[bundle][i] {
			w.hasty = append(w.hasty, fmt.Sprintf("%d of the Job of %s are to run, of %d", sum, bundle, w.wholes[bundle][i]))
		}
	}
}

// judgeMove looks at a grant: a bundle of a number of clusters comes to no more than so many that are to keep it and were not silent for too
// long since they have it, and to none that was, before the hold-down is over. What is divided comes with a part that is more than nothing.
func (w *world) judgeMove(bundle, cluster string, g v1alpha1.Grant) {
	b, c := w.bundles[bundle], w.clusters[cluster]
	before, had := w.grants[bundle][cluster]
	part := func(g v1alpha1.Grant) int32 {
		if g.Frozen == nil || g.Withdraw {
			return 0
		}
		return g.Frozen.Divided[0]
	}
	comes := !had || before.Withdraw
	if g.Frozen != nil {
		comes = part(before) == 0 && part(g) > 0
	}
	if b == nil || g.Withdraw || g.Held || !comes {
		return
	}
	if c.evicted[string(b.UID)] && w.now.Sub(c.since) < w.fleet.Resolved().Eviction.HoldDown.Duration {
		w.hasty = append(w.hasty, fmt.Sprintf("%s comes to %s, which is back for %s", bundle, cluster, w.now.Sub(c.since)))
	}
	delete(c.gone, bundle)
	delete(c.evicted, string(b.UID))
	if b.Spec.Placement.NumberOfClusters == nil {
		return
	}
	holds := 0
	for other, h := range w.grants[bundle] {
		if _, was := w.clusters[other].gone[bundle]; !h.Withdraw && !was && !w.leaves(bundle, other) {
			holds++
		}
	}
	if n := int(*b.Spec.Placement.NumberOfClusters); holds >= n {
		w.hasty = append(w.hasty, fmt.Sprintf("%s comes to %s, and %d others are to have it: %s", bundle, cluster, holds, w))
	}
}

// leaves says that a bundle is to be taken from a cluster once others run it.
func (w *world) leaves(bundle, cluster string) bool {
	r := w.running(bundle)
	return r != nil && slices.ContainsFunc(r.Spec.Waves, func(v v1alpha1.Wave) bool { return slices.Contains(v.Withdraw, cluster) })
}

// frozen are the parts of what is divided that go into a grant, as the leader's member freezes them.
func (w *world) frozen(bundle, cluster string, g v1alpha1.Grant) *v1alpha1.Frozen {
	b := w.bundles[bundle]
	if b == nil || len(b.Spec.Division) == 0 || g.Withdraw || g.Held || g.Frozen != nil {
		return g.Frozen
	}
	s := w.situation()
	ground := s.Ground(bundle)
	ground.Has[cluster] = true
	picked, err := plan.Picks(b.Spec.Placement, ground)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	p := plan.Parting{Placement: b.Spec.Placement, Division: b.Spec.Division, Wholes: w.contents[g.Revision].Wholes, Revision: g.Revision, Picked: picked, Ground: ground, Grants: s.Grants[bundle]}
	return &v1alpha1.Frozen{Divided: plan.Parts(p, cluster)}
}
