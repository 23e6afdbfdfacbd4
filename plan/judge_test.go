package plan_test

import (
	"fmt"
	"maps"
	"reflect"
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
	taken := w.failures > 0 && w.hasTaken(bundle, cluster)
	return !w.inWave(bundle, cluster) && (taken || !w.unsound(bundle, cluster))
}

// hasTaken says that a cluster is known to have done what it was granted, healthy or not.
func (w *world) hasTaken(bundle, cluster string) bool {
	g, told := w.grants[bundle][cluster], w.clusters[cluster].told[bundle]
	return told.Grant == g.At && !g.Withdraw && told.Applied == g.Revision
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

// exempt says that a person let a cluster do what it was granted, whatever else is in change: all at once, or as a wave that has settled went on
// despite it. It is the word for the very rollout that granted it.
func (w *world) exempt(bundle, cluster string) bool {
	at := [2]string{bundle, cluster}
	r := w.rollouts[w.by[at]]
	if r == nil || r.Spec.Orders.AllAtOnce {
		return r != nil
	}
	taken := w.despite[at] == w.given[at] || w.hasTaken(bundle, cluster)
	return slices.Contains(r.Spec.Orders.Despite, cluster) && taken && !w.inWave(bundle, cluster)
}

// goOnDespite takes down which clusters a wave does not wait for that settles: who is heard then, and does not only look, may do later what it
// was granted; of others it is to be taken back.
func (w *world) goOnDespite(r *v1alpha1.Rollout) {
	for i, v := range r.Spec.Waves {
		if !w.settles(r, i) {
			continue
		}
		for _, name := range r.Spec.Orders.Despite {
			if c := w.clusters[name]; c != nil && c.heard && !c.looking && (slices.Contains(v.Clusters, name) || slices.Contains(v.Withdraw, name)) {
				at := [2]string{r.Spec.Bundle, name}
				w.despite[at] = w.given[at]
			}
		}
	}
}

// settles says that a wave of a rollout that is to be written has settled since it was written last. Its place may be another: waves to come
// before it go when nobody needs them any more.
func (w *world) settles(r *v1alpha1.Rollout, i int) bool {
	if r.Status.Waves[i].Settled == nil {
		return false
	}
	old := w.rollouts[r.Name]
	if old == nil {
		return true
	}
	for j, v := range old.Spec.Waves {
		if reflect.DeepEqual(v, r.Spec.Waves[i]) && old.Status.Waves[j].Settled != nil {
			return false
		}
	}
	return true
}

// judgeOrders looks at a rollout that is written: its orders are those that people gave to it, and a new one has none.
func (w *world) judgeOrders(r *v1alpha1.Rollout) {
	said := v1alpha1.RolloutOrders{}
	if old := w.rollouts[r.Name]; old != nil {
		said = old.Spec.Orders
	}
	if !reflect.DeepEqual(r.Spec.Orders, said) {
		w.unsaid = append(w.unsaid, fmt.Sprintf("%s is written with the orders %+v, and people said %+v", r.Name, r.Spec.Orders, said))
	}
	s := r.Status
	if (s.Reason == "") != (s.Since == nil) || s.Phase.Ended() && s.Reason != "" || s.Blocked != "" && s.Reason != v1alpha1.RolloutClusterLost {
		w.unsaid = append(w.unsaid, fmt.Sprintf("%s is %s and waits for %q since %v, kept by %q", r.Name, s.Phase, s.Reason, s.Since, s.Blocked))
	}
}

// judgeStages looks at a rollout that is written: what it grants now waits for no earlier stage. One that was over once is waited for no more, nor
// does anything wait that goes on where a change before was under way, that who joins gets first, or that a person lets in all at once.
func (w *world) judgeStages(r *v1alpha1.Rollout) {
	ahead, settled := map[string]bool{}, map[string]bool{}
	for i, v := range r.Spec.Waves {
		if v.Revision == "" {
			ahead[v.Stage] = ahead[v.Stage] || !r.Status.Waves[i].Over()
			settled[v.Stage] = settled[v.Stage] || r.Status.Waves[i].Settled != nil
		}
	}
	for i, v := range r.Spec.Waves {
		if r.Status.Waves[i].Granted == nil || w.wasGranted(r, v) || v.Revision != "" || r.Spec.Orders.AllAtOnce || w.goesOn(r, v) {
			continue
		}
		for _, s := range r.Spec.Stages {
			if s.Name == v.Stage {
				break
			}
			if ahead[s.Name] && !w.over[r.Name+" "+s.Name] {
				w.unsaid = append(w.unsaid, fmt.Sprintf("%s grants stage %s in %s, and stage %s is not over", r.Name, v.Stage, v.Domain, s.Name))
			}
		}
	}
	for stage := range settled {
		w.over[r.Name+" "+stage] = w.over[r.Name+" "+stage] || !ahead[stage]
	}
}

// judgeCanary looks at a rollout that is written, of a bundle whose canary is one cluster: it grants several of a stage in a fault domain only when one
// of them has had it.
func (w *world) judgeCanary(r *v1alpha1.Rollout) {
	if w.rollout.Canary == nil || r.Spec.Orders.AllAtOnce {
		return
	}
	for i, v := range r.Spec.Waves {
		begun := slices.ContainsFunc(r.Spec.Waves[:i], func(o v1alpha1.Wave) bool {
			return o.Domain == v.Domain && o.Stage == v.Stage && o.Revision == "" && len(o.Clusters) > 0
		})
		if r.Status.Waves[i].Granted != nil && len(v.Clusters) > 1 && v.Revision == "" && !begun && !w.wasGranted(r, v) && !w.goesOn(r, v) {
			w.unsaid = append(w.unsaid, fmt.Sprintf("%s grants %v, and none of them is a canary", r.Name, v.Clusters))
		}
	}
}

// judgeApproval looks at a rollout that is written, and that a person lets into each fault domain: it begins the change nowhere else. Who joins gets
// something that went through first, which is not the change.
func (w *world) judgeApproval(r *v1alpha1.Rollout) {
	if r.Spec.Approval != v1alpha1.ApprovalDomain || r.Spec.Orders.AllAtOnce || r.Spec.Moves {
		return
	}
	let := map[string]bool{}
	for _, other := range w.rollouts {
		if other.Spec.BundleUID == r.Spec.BundleUID && other.Spec.Generation == r.Spec.Generation {
			for _, domain := range other.Spec.Orders.Approved {
				let[domain] = true
			}
		}
	}
	for i, v := range r.Spec.Waves {
		let[v.Domain] = let[v.Domain] || v.Revision == "" && w.wasGranted(r, v)
		if r.Status.Waves[i].Granted != nil && v.Revision == "" && !let[v.Domain] {
			w.unsaid = append(w.unsaid, fmt.Sprintf("%s grants %v in %s, and nobody let it in there", r.Name, v.Clusters, v.Domain))
		}
	}
}

// wasGranted says that a wave of a rollout that is to be written was granted before.
func (w *world) wasGranted(r *v1alpha1.Rollout, v v1alpha1.Wave) bool {
	old := w.rollouts[r.Name]
	if old == nil {
		return false
	}
	for i, other := range old.Spec.Waves {
		if reflect.DeepEqual(other, v) && old.Status.Waves[i].Granted != nil {
			return true
		}
	}
	return false
}

// goesOn says that a cluster of a wave may still do what a rollout before granted it.
func (w *world) goesOn(r *v1alpha1.Rollout, v v1alpha1.Wave) bool {
	for _, name := range slices.Concat(v.Clusters, v.Withdraw) {
		if w.clusters[name] != nil && w.mayAct(r.Spec.Bundle, name) {
			return true
		}
	}
	return false
}

// judgeRunning looks that no more than one rollout of a bundle has not ended.
func (w *world) judgeRunning(bundle string) {
	var running []string
	for name, r := range w.rollouts {
		if r.Spec.Bundle == bundle && !r.Status.Phase.Ended() {
			running = append(running, name)
		}
	}
	if slices.Sort(running); len(running) > 1 {
		w.unsaid = append(w.unsaid, fmt.Sprintf("nobody ended one of %v", running))
	}
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
	if now := w.fleet.Resolved().Domain; !slices.Contains(w.labels, now) {
		w.labels = append(w.labels, now)
	}
	for i, label := range w.labels {
		if domains := w.changingBy(label); i == 0 || len(domains) < len(fewest) {
			fewest = domains
		}
	}
	inChange := func(r *v1alpha1.Rollout) bool { return len(r.Status.InChange) > 0 }
	if !slices.ContainsFunc(slices.Collect(maps.Values(w.rollouts)), inChange) {
		w.labels = nil // a fault domain that is in change ends as it began
	}
	return fewest
}

// changingBy are the fewest fault domains by a label outside of which no cluster is in change but those that may fail.
func (w *world) changingBy(label string) []string {
	all := map[string]bool{}
	home := func(bundle, cluster string) string { return w.lay[[2]string{bundle, cluster}][label] }
	for bundle, grants := range w.grants {
		for name := range grants {
			if w.unsound(bundle, name) && !w.exempt(bundle, name) {
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
			if !w.unsound(bundle, name) || w.exempt(bundle, name) || counted(bundle, name) {
				continue
			}
			failed[bundle+g.Revision]++
			if !w.hasTaken(bundle, name) || failed[bundle+g.Revision] > int(w.failures) {
				return false
			}
		}
	}
	return true
}
