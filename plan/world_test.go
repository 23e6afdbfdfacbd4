package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// judge is a test, or one life in a property.
type judge interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// world is a fleet as plan sees it: the log, the clusters as they really are, and what the leader has heard of them. Its clusters
// do what they are granted when they are told to.
type world struct {
	t   judge
	now time.Time
	// began is when the leader began to lead, and logged the time of the log then.
	began, logged time.Time
	fleet         v1alpha1.FleetRollout
	// The log. index grows with every write, and given is when each grant was written.
	bundles  map[string]*v1alpha1.Bundle
	tombs    map[string]*v1alpha1.Tombstone
	rollouts map[string]*v1alpha1.Rollout
	grants   map[string]map[string]v1alpha1.Grant // by bundle and cluster
	given    map[[2]string]int
	// by are the rollouts that gave the grants, and despite those grants of clusters that were heard when a wave settled that went on despite them.
	by      map[[2]string]string
	despite map[[2]string]int
	// lay is what labels each cluster had when the change that it is in began.
	lay map[[2]string]map[string]string
	// labels of fault domains that were the fleet's while something was in change.
	labels   []string
	index    int
	clusters map[string]*cluster
	born     int
	// brings are the objects that a bundle has from its next change on, and contents what its revisions bring.
	brings   map[string][]string
	contents map[string]plan.Content
	// tear says of how many of so many parts of a step the leader comes to write, in their order; nil: of all.
	tear func(parts int) int
	// failures are in how many clusters a bundle that is applied may fail.
	failures int32
	// rollout is what else a bundle that is applied says of its rollouts.
	rollout v1alpha1.BundleRollout
	// passes is what the object of the gate migrated says in a cluster, of bundles whose rollouts have it. nil: it passes.
	passes func(cluster string) bool
	// over are the stages of rollouts that were over once.
	over map[string]bool
	// again are rollouts that took a change back, and were taken back themselves.
	again []string
	// orders are those that people give in a life.
	orders []string
	// unsaid are orders that no person gave.
	unsaid []string
	// ungated are the waves that settled against the word of a cluster.
	ungated []string
	// drained is a cluster that an admin wants empty, and guest one that may write for itself alone.
	drained, guest string
	// decide is what decides, and watch who is unreachable.
	decide func(plan.Situation) []plan.Step
	watch  func(plan.Situation, plan.Quorum) (map[string]*v1alpha1.Unreachable, string)
	// evicted is when the leader evicted a cluster last, evictions when all were, deaf that it hears no majority of the voters, and refused a cluster
	// of which the log takes nothing.
	evicted   time.Time
	evictions []time.Time
	deaf      bool
	refused   string
	// place is what else a bundle that is applied everywhere says of where it goes.
	place func(name string, b *v1alpha1.Bundle)
	// wholes are what the divisions of bundles divide.
	wholes map[string][]int32
	// hasty are moves and returns before their time.
	hasty []string
	// sealed is a bundle that is a secret, group whom it is sealed for, and keys what happens to the keys; nil: nothing. blind are the grants of
	// what a cluster cannot open, or nobody can read. unread is what cannot be read of it: the secret, or its group.
	sealed, unread string
	group          *v1alpha1.RecipientGroup
	keys           func(*rapid.T)
	blind          []string
	// wrong are the writes after which more fault domains were in change than may be.
	wrong []string
	// leans are what bundles that are applied depend on, by name, and early the grants that came before what they depend on.
	leans map[string][]string
	early []string
	// unasked are the writes with which more was deleted than may be without a person's word.
	unasked []string
}

// cluster is one of the world.
type cluster struct {
	labels map[string]string
	// lostKeys is how often it made another key of its own.
	lostKeys int
	heard    bool
	looking  bool      // only: it does nothing
	silence  time.Time // since when nothing is heard of it
	since    time.Time // since when it is heard
	// unreachable is what the log says of that, and gone when it was last silent for so long that it was evicted, as the judge sees it.
	unreachable *v1alpha1.Unreachable
	gone        map[string]time.Time // by bundle
	// evicted are the bundles, by UID, that the log said do not tolerate it.
	evicted map[string]bool
	runs    map[string]v1alpha1.WorkStatus
	// did is the grant of each bundle that it has carried out, and sound that it is healthy with it or has been.
	did   map[string]int
	sound map[string]int
	// has are the objects of each bundle, and doomed those of them that it was granted to delete.
	has, doomed map[string]map[string]bool
	// told is what the leader heard last.
	told map[string]v1alpha1.WorkStatus
}

func newWorld(t judge, clusters ...string) *world {
	w := &world{
		t: t, orders: someOrders, now: time.Unix(1_000_000, 0), fleet: v1alpha1.FleetRollout{Soak: &metav1.Duration{}},
		bundles: map[string]*v1alpha1.Bundle{}, tombs: map[string]*v1alpha1.Tombstone{}, rollouts: map[string]*v1alpha1.Rollout{},
		grants: map[string]map[string]v1alpha1.Grant{}, given: map[[2]string]int{}, by: map[[2]string]string{}, over: map[string]bool{}, despite: map[[2]string]int{}, lay: map[[2]string]map[string]string{}, clusters: map[string]*cluster{}, decide: plan.Decide, watch: plan.Unreachables, wholes: map[string][]int32{},
		brings: map[string][]string{}, contents: map[string]plan.Content{},
	}
	for _, c := range clusters {
		w.join(c)
	}
	return w
}

// join adds a cluster, whose region is the first two letters of its name. Its zone is one of two of them.
func (w *world) join(name string) {
	labels := map[string]string{v1alpha1.LabelRegion: name[:2], v1alpha1.LabelZone: name[:2] + "-" + string('a'+name[len(name)-1]%2)}
	w.clusters[name] = &cluster{labels: labels, heard: true, gone: map[string]time.Time{}, evicted: map[string]bool{}, runs: map[string]v1alpha1.WorkStatus{}, told: map[string]v1alpha1.WorkStatus{}, did: map[string]int{}, sound: map[string]int{},
		has: map[string]map[string]bool{}, doomed: map[string]map[string]bool{}}
}

// remove takes a cluster out of the fleet, as the law does.
func (w *world) remove(name string) {
	delete(w.clusters, name)
	for _, grants := range w.grants {
		delete(grants, name)
	}
	for uid := range w.tombs {
		w.strike(uid, name)
	}
}

func (w *world) strike(uid, cluster string) {
	t := w.tombs[uid]
	t.Clusters = slices.DeleteFunc(slices.Clone(t.Clusters), func(c string) bool { return c == cluster })
	if len(t.Clusters) == 0 {
		delete(w.tombs, uid)
	}
}

// apply writes a bundle anew, for the clusters whose names have one of the beginnings; for all without any.
func (w *world) apply(name string, to ...string) *v1alpha1.Bundle {
	b := &v1alpha1.Bundle{}
	if old := w.bundles[name]; old != nil {
		b = old.DeepCopy()
	} else {
		w.born++
		b.Name, b.UID = name, types.UID(fmt.Sprintf("%08d-uid", w.born))
	}
	b.Generation++
	b.Spec.Placement = v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}}
	if len(to) > 0 {
		b.Spec.Placement = v1alpha1.Placement{Clusters: to}
	}
	if rollout := w.rollout; w.failures > 0 || len(rollout.Stages)+len(rollout.Windows)+len(rollout.Gates) > 0 || rollout.OnFailure != "" || rollout.Canary != nil || rollout.Approval != "" {
		rollout.MaxFailures = w.failures
		b.Spec.Rollout = &rollout
	}
	if w.place != nil {
		w.place(name, b)
	}
	b.Spec.DependsOn = w.leans[name]
	w.bundles[name] = b
	content := plan.Content{BundleUID: string(b.UID), Wholes: w.wholes[name]}
	for _, o := range w.brings[name] {
		kind, object, _ := strings.Cut(o, "/")
		content.Objects = append(content.Objects, v1alpha1.ObjectRef{APIVersion: "v1", Kind: kind, Name: object})
	}
	w.contents[v1alpha1.RevisionName(name, string(b.UID), b.Generation)] = content
	return b
}

// erase deletes a bundle, and leaves a tombstone.
func (w *world) erase(name string) {
	b := w.bundles[name]
	delete(w.bundles, name)
	t := &v1alpha1.Tombstone{Bundle: name, BundleUID: string(b.UID)}
	for _, c := range slices.Sorted(maps.Keys(w.grants[name])) {
		if w.grants[name][c].BundleUID == t.BundleUID {
			t.Clusters = append(t.Clusters, c)
		}
	}
	if len(t.Clusters) > 0 {
		w.tombs[t.BundleUID] = t
	}
}

// obey lets a cluster carry out what the log grants it, and become healthy with it, or fail, or neither yet. One that only looks does nothing, once
// it has heard that it shall.
func (w *world) obey(name, bundle string, health v1alpha1.Health) {
	c, g, ok := w.clusters[name], w.grants[bundle][name], true
	if c == nil || c.looking && c.heard {
		return
	}
	if _, ok = w.grants[bundle][name]; !ok || g.Held {
		return
	}
	if g.Withdraw {
		delete(w.grants[bundle], name)
		delete(c.runs, bundle)
		delete(c.has, bundle)
		delete(c.doomed, bundle)
		if w.tombs[g.BundleUID] != nil {
			w.strike(g.BundleUID, name)
		}
		return
	}
	c.take(bundle, w.objects(g.Revision), health == v1alpha1.HealthReady)
	c.did[bundle] = w.given[[2]string{bundle, name}]
	c.runs[bundle] = v1alpha1.WorkStatus{Grant: int64(c.did[bundle]), Applied: g.Revision, Health: health}
	w.lookAtGate(name, bundle)
	if health == v1alpha1.HealthReady {
		c.sound[bundle] = c.did[bundle]
	}
}

// obeyAll lets all clusters that are heard carry everything out, healthy.
func (w *world) obeyAll() {
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
		if w.clusters[name].heard {
			for _, bundle := range slices.Sorted(maps.Keys(w.grants)) {
				w.obey(name, bundle, v1alpha1.HealthReady)
			}
		}
	}
}

// silence cuts off clusters with a beginning; speak undoes it.
func (w *world) silence(beginning string) {
	for name, c := range w.clusters {
		if strings.HasPrefix(name, beginning) && c.heard {
			c.heard, c.silence = false, w.now
		}
	}
}

func (w *world) speak(beginning string) {
	for name, c := range w.clusters {
		if strings.HasPrefix(name, beginning) && !c.heard {
			if c.heard = true; min(w.now.Sub(c.silence), w.now.Sub(w.began)) >= 4*time.Second {
				c.since = w.now // what is shorter nobody takes for more than a moment
			}
		}
	}
}

func (w *world) situation() plan.Situation {
	s := plan.Situation{
		Scene: plan.Scene{Now: w.now, Grants: map[string]map[string]v1alpha1.Grant{}, Sightings: map[string]plan.Sighting{}},
		Contents: func(revision string) (plan.Content, bool) {
			content, there := w.contents[revision]
			return content, there
		},
		Began: w.began, Wall: w.now, Logged: w.logged, Fleet: w.fleet.Resolved(), Silent: map[string]time.Duration{}, Looking: map[string]bool{},
	}
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
		c := w.clusters[name]
		member := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: maps.Clone(c.labels)}}
		member.Status.Recipient = w.recipient(name)
		if name == w.guest {
			member.Spec.Rights = v1alpha1.RightsOwnObjects
		}
		if name == w.drained {
			member.Spec.Availability = v1alpha1.AvailabilityDrained
		}
		member.Status.Unreachable = c.unreachable.DeepCopy()
		s.Clusters = append(s.Clusters, member)
		if c.heard {
			c.told = w.says(name)
		} else {
			s.Silent[name] = min(w.now.Sub(c.silence), w.now.Sub(w.began))
		}
		if c.looking {
			s.Looking[name] = true
		}
		s.Sightings[name] = plan.Sighting{Fresh: c.heard, Works: c.told}
	}
	if w.group != nil {
		s.Sealed = map[string]*plan.Holders{w.sealed: plan.HoldersOf(w.group.DeepCopy(), s.Clusters)}
	}
	for bundle, grants := range w.grants {
		s.Grants[bundle] = maps.Clone(grants)
	}
	for _, name := range slices.Sorted(maps.Keys(w.bundles)) {
		if b := w.readable(w.bundles[name]); b != nil {
			s.Bundles = append(s.Bundles, b)
		}
	}
	if w.unread != "" {
		s.Unread = map[string]string{w.sealed: w.unread + " cannot be read"}
	}
	for _, uid := range slices.Sorted(maps.Keys(w.tombs)) {
		s.Tombstones = append(s.Tombstones, w.tombs[uid])
	}
	for _, name := range slices.Sorted(maps.Keys(w.rollouts)) {
		s.Rollouts = append(s.Rollouts, w.rollouts[name].DeepCopy())
	}
	return s
}

// says is what the member of a cluster tells. One that only looks knows what it is granted, and not how healthy that is.
func (w *world) says(name string) map[string]v1alpha1.WorkStatus {
	c := w.clusters[name]
	told := maps.Clone(c.runs)
	for bundle, grants := range w.grants {
		if g, has := grants[name]; c.looking && has && !g.Held {
			told[bundle] = v1alpha1.WorkStatus{Grant: g.At, Applied: c.runs[bundle].Applied, Health: v1alpha1.HealthUnknown}
		}
	}
	return told
}

// pass lets the leader decide once, writes what it says, and looks at the world after each write. It says whether anything was written.
func (w *world) pass() bool {
	noted := w.note()
	steps := w.decide(w.situation())
	for _, step := range steps {
		whole := w.write(step)
		if domains := w.changing(); len(domains) > int(w.fleet.Resolved().MaxDomains) {
			w.wrong = append(w.wrong, fmt.Sprintf("in change after write %d, of %s: %v", w.index, step.Bundle, domains))
		}
		if !whole {
			return true // the next leader goes on
		}
	}
	return len(steps) > 0 || noted
}

// write writes a step; false: it broke off. What holds clusters back may be written before all the rest, which is written at once.
func (w *world) write(step plan.Step) (whole bool) {
	w.index++
	left := len(step.Grants) + 1
	if w.tear != nil {
		left = w.tear(left)
	}
	for _, cluster := range slices.Sorted(maps.Keys(step.Grants)) {
		if !step.Grants[cluster].Held {
			continue
		}
		if left--; left < 0 {
			return false
		}
		w.grant(step.Bundle, cluster, step.Grants[cluster])
	}
	w.writeRollouts(step)
	for _, cluster := range slices.Sorted(maps.Keys(step.Grants)) {
		if !step.Grants[cluster].Held {
			w.grant(step.Bundle, cluster, step.Grants[cluster])
		}
	}
	return true
}

func (w *world) writeRollouts(step plan.Step) {
	for _, r := range step.Rollouts {
		if old := w.rollouts[r.Name]; old != nil && old.Status.Phase.Ended() {
			w.t.Errorf("%s was %s, and is written again: %s", r.Name, old.Status.Phase, r.Status.Phase)
		}
		w.judgeOrders(r)
		w.judgeStages(r)
		w.judgeCanary(r)
		w.judgeApproval(r)
		w.judgeGates(r)
		w.judgeBack(r)
		w.judgeSuspended(r)
		w.goOnDespite(r)
		w.rollouts[r.Name] = r.DeepCopy()
	}
	w.judgeRunning(step.Bundle)
	w.follow()
}

func (w *world) grant(bundle, cluster string, g v1alpha1.Grant) {
	w.judgeDeletions(bundle, cluster, g)
	w.judgeKey(bundle, cluster, g)
	w.judgeDepends(bundle, cluster, g)
	g.Frozen = w.frozen(bundle, cluster, g)
	w.judgeMove(bundle, cluster, g)
	w.judgeJob(bundle, cluster, g)
	if w.grants[bundle] == nil {
		w.grants[bundle] = map[string]v1alpha1.Grant{}
	}
	if !w.mayAct(bundle, cluster) {
		w.lay[[2]string{bundle, cluster}] = maps.Clone(w.clusters[cluster].labels)
	}
	g.At = int64(w.index)
	w.grants[bundle][cluster] = g
	w.given[[2]string{bundle, cluster}] = w.index
	if r := w.running(bundle); r != nil {
		w.by[[2]string{bundle, cluster}] = r.Name
	}
}

// relabel puts a cluster into another region.
func (w *world) relabel(cluster, region string) { w.relabelAll([]string{cluster}, region) }

// relabelAll puts clusters into another region in one moment.
func (w *world) relabelAll(clusters []string, region string) {
	for _, name := range clusters {
		w.clusters[name].labels[v1alpha1.LabelRegion] = region
	}
	w.follow()
}

// rest lets the leader decide until nothing is to be written; it fails when that does not end.
func (w *world) rest() {
	w.t.Helper()
	for range 100 {
		if !w.pass() {
			return
		}
	}
	w.t.Fatalf("the leader does not come to rest: %s", w)
}

// settle lets the world go on by itself for a while.
func (w *world) settle() {
	w.t.Helper()
	for range 60 {
		w.rest()
		w.obeyAll()
		w.later(time.Second)
	}
	w.rest()
}

func (w *world) later(d time.Duration) { w.now = w.now.Add(d) }

// String is what each cluster is granted, and each rollout that has not ended.
func (w *world) String() string {
	var lines []string
	for _, bundle := range slices.Sorted(maps.Keys(w.grants)) {
		for _, name := range slices.Sorted(maps.Keys(w.grants[bundle])) {
			g := w.grants[bundle][name]
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", name, bundle, grantText(g))))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.rollouts)) {
		if r := w.rollouts[name]; !r.Status.Phase.Ended() {
			lines = append(lines, fmt.Sprintf("%s %s %v: %s", name, r.Status.Phase, r.Status.InChange, r.Status.Message))
		}
	}
	return strings.Join(lines, "\n")
}

func grantText(g v1alpha1.Grant) string {
	text := g.Revision
	if i := strings.LastIndexByte(text, '-'); i >= 0 {
		text = text[i+1:]
	}
	if g.Withdraw {
		text = "withdraw"
	}
	if g.Held {
		text += " held"
	}
	return text
}

// running is the rollout of a bundle that has not ended, nil when there is none.
func (w *world) running(bundle string) *v1alpha1.Rollout {
	for _, r := range w.rollouts {
		if r.Spec.Bundle == bundle && !r.Status.Phase.Ended() {
			return r
		}
	}
	return nil
}

// newest is the rollout of a bundle that has not ended; the last one when all have.
func (w *world) newest(bundle string) (newest *v1alpha1.Rollout) {
	for _, name := range slices.Sorted(maps.Keys(w.rollouts)) {
		r := w.rollouts[name]
		if r.Spec.Bundle == bundle && (newest == nil || !newest.CreationTimestamp.After(r.CreationTimestamp.Time)) {
			newest = r
		}
	}
	return newest
}
