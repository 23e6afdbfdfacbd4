package plan

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// need is what a cluster does not have yet: the revision, or a withdrawal.
type need struct {
	withdraw bool
	// instead is a revision that it gets in place of the rollout's.
	instead string
	// parts are those of what is divided that it is to have of the revision that it has already; nil: it is to have the revision.
	parts []int32
}

// plan begins rollouts, lets newer ones take the place of older ones, and gives running ones the waves of those that came later.
func (c *course) plan() {
	if c.wanted, c.known = c.needs(c.homes()); !c.known {
		return
	}
	over, failed := c.isOver(), c.takenBack()
	switch {
	case failed != nil:
		over, c.wanted = true, c.needsBack(failed)
	case over:
		maps.DeleteFunc(c.wanted, c.hasJoinedNot)
	}
	switch {
	case c.bundle == nil && len(c.tombstones) == 0: // what still runs ends by itself: nobody has anything of it
		c.trim()
	case c.running() != nil && c.running() != failed && c.keeps(over):
		settled := c.settledStages() // before any cluster leaves a wave, that comes to another one
		c.trim()
		c.addLate(settled)
	case failed != nil:
		c.beginBack(failed)
	case over:
		c.beginForJoiners()
	default:
		c.begin(c.change())
	}
}

// change is what is to be rolled out: the bundle's generation, or its withdrawal.
type change struct {
	uid, revision string
	generation    int64
	// undoes is the rollout of a change that failed, which this one takes back.
	undoes *v1alpha1.Rollout
}

func (c *course) change() change {
	if c.bundle == nil {
		return change{uid: c.buried()[0].BundleUID}
	}
	b := c.bundle
	return change{uid: string(b.UID), revision: v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation), generation: b.Generation}
}

// changeOf is what a rollout rolls out.
func changeOf(r *v1alpha1.Rollout) change {
	return change{uid: r.Spec.BundleUID, revision: r.Spec.Revision, generation: r.Spec.Generation}
}

func (ch change) is(r *v1alpha1.Rollout) bool {
	return r.Spec.BundleUID == ch.uid && r.Spec.Generation == ch.generation // that of a withdrawal is 0
}

// last is the newest rollout of what is to be rolled out, nil when it has none yet.
func (c *course) last() *v1alpha1.Rollout {
	if c.bundle == nil && len(c.tombstones) == 0 {
		return nil
	}
	return c.newest(c.change())
}

// newest is the newest rollout of a change.
func (c *course) newest(ch change) (newest *v1alpha1.Rollout) {
	for r := range c.all() {
		if ch.is(r) && (newest == nil || r.Spec.Number > newest.Spec.Number) {
			newest = r
		}
	}
	return newest
}

// aborted says that a person ended a rollout, and has not taken that back.
func aborted(r *v1alpha1.Rollout) bool {
	return r != nil && r.Status.Phase == v1alpha1.RolloutAborted && r.Spec.Orders.Aborted
}

// isOver says that a person ended what is to be rolled out: of a bundle that is there, until it changes; of one that is deleted,
// until a rollout of its name comes later.
func (c *course) isOver() bool {
	if c.bundle == nil {
		return aborted(c.last()) && aborted(c.latest())
	}
	ch := c.change()
	for r := range c.all() { // who joined since may have had one of the same change later
		if ch.is(r) && aborted(r) {
			return true
		}
	}
	return false
}

// latest is the rollout of the name that came last, be it of an earlier bundle; nil when there is none. One begins when the one before
// ends, so of those that began in one second the one that ended last came last.
func (c *course) latest() (latest *v1alpha1.Rollout) {
	for r := range c.all() {
		if latest == nil || came(latest, r) < 0 {
			latest = r
		}
	}
	return latest
}

// came compares when two rollouts of a name came.
func came(a, b *v1alpha1.Rollout) int {
	ended := func(r *v1alpha1.Rollout) int64 {
		if r.Status.Ended == nil {
			return math.MaxInt64
		}
		return r.Status.Ended.Unix()
	}
	return cmp.Or(
		cmp.Compare(a.CreationTimestamp.Unix(), b.CreationTimestamp.Unix()), cmp.Compare(ended(a), ended(b)), compareBool(!aborted(a), !aborted(b)),
		cmp.Compare(a.Spec.Generation, b.Spec.Generation), cmp.Compare(a.Spec.Number, b.Spec.Number))
}

// keeps says that the rollout that runs is still the right one: of what is wanted now, or of the last good revision while what is
// wanted was aborted.
func (c *course) keeps(over bool) bool {
	return c.change().is(c.active) || over && c.active.Spec.Generation < c.change().generation
}

// needs is what each cluster of the fleet does not have yet. A cluster that withdraws an earlier bundle of the name ends that first.
func (c *course) needs(h homes) (map[string]need, bool) {
	needs := map[string]need{}
	if c.Unread[c.name] != "" {
		return nil, false
	}
	if c.bundle == nil {
		for _, t := range c.buried() {
			for _, cluster := range t.Clusters {
				g, ok := c.grantOf(cluster)
				if ok && g.BundleUID == t.BundleUID && h.leaves(cluster, g) {
					needs[cluster] = need{withdraw: true}
				}
			}
		}
		return needs, true
	}
	picked, err := c.picked()
	if err != nil {
		return nil, false
	}
	uid, revision := string(c.bundle.UID), c.change().revision
	for _, cluster := range picked {
		g, ok := c.grantOf(cluster)
		switch {
		case ok && g.Withdraw && !g.Held && g.BundleUID != uid:
			if h.dangles(cluster) {
				needs[cluster] = need{withdraw: true}
			}
		case ok && !g.Withdraw && !g.Held && g.Revision == revision:
		default:
			needs[cluster] = need{}
		}
	}
	for cluster := range c.Grants[c.name] {
		if g, _ := c.grantOf(cluster); !among(picked, cluster) && h.leaves(cluster, g) {
			needs[cluster] = need{withdraw: true}
		}
	}
	parts, _ := c.redivide(h, picked, needs, revision)
	for cluster, p := range parts {
		needs[cluster] = need{parts: p}
	}
	c.needUnsettled(h, picked, needs)
	return needs, true
}

// needUnsettled lets clusters need what they were granted already, until it has settled: a change that was taken back, and then goes on, finds
// them with it, in a fault domain that is in change.
func (c *course) needUnsettled(h homes, picked []string, needs map[string]need) {
	for _, cluster := range picked {
		g, _ := c.grantOf(cluster)
		if _, there := needs[cluster]; !there && !g.Withdraw && h.dangles(cluster) {
			needs[cluster] = need{}
		}
	}
}

// among says that a name is among others, which are sorted.
func among(names []string, name string) bool {
	_, found := slices.BinarySearch(names, name)
	return found
}

// buried are the deleted bundles of the name whose withdrawal goes on; when a person aborted all that there are, those.
func (c *course) buried() []*v1alpha1.Tombstone {
	if !aborted(c.latest()) {
		return c.tombstones
	}
	going := slices.DeleteFunc(slices.Clone(c.tombstones), func(t *v1alpha1.Tombstone) bool {
		return c.newest(change{uid: t.BundleUID}) != nil
	})
	if len(going) == 0 {
		return c.tombstones
	}
	return going
}

// leaves says that a cluster that is to lose the bundle has not been told yet, or is at it in a fault domain that is in change for it.
func (h homes) leaves(cluster string, g v1alpha1.Grant) bool {
	return h.cluster(cluster) != nil && (!g.Withdraw || g.Held || h.dangles(cluster))
}

// picked are the clusters that the bundle's placement picks.
func (c *course) picked() ([]string, error) {
	if !c.isRolledOut() {
		return c.picks(c.bundle)
	}
	return Picks(c.bundle.Spec.Placement, c.ground())
}

// isRolledOut says that the bundle, as it is, is being rolled out.
func (c *course) isRolledOut() bool { return c.active != nil && c.change().is(c.active) }

// ground lets a placement remember what the rollout is about to grant, too.
func (c *course) ground() Ground {
	g := c.Ground(c.bundle.Name)
	if !c.isRolledOut() {
		return g
	}
	remember(c.active, g.Has)
	return g
}

func remember(r *v1alpha1.Rollout, has map[string]bool) {
	for _, w := range r.Spec.Waves {
		for _, cluster := range w.Clusters {
			has[cluster] = true
		}
	}
}

// reachable are the needs that can be met: not of clusters that are away, only look, or hold no key of what is sealed. Where the rollout before changes a fault
// domain, those that may still do what they were granted belong to it, whatever they are.
func (c *course) reachable(needs map[string]need) map[string]need {
	can, h := maps.Clone(needs), c.homes()
	maps.DeleteFunc(can, func(cluster string, n need) bool { return h.beyond(cluster) || h.lacksKey(cluster, n.withdraw) })
	return can
}

// lacksKey says that a cluster could not open what it is to be given. What it has stays, and is taken from it without any key.
func (h homes) lacksKey(cluster string, withdraw bool) bool {
	return !withdraw && h.Keyless(h.name, cluster) && !h.dangles(cluster)
}

// beyond says that a cluster cannot be given anything. Who may still do what it was granted keeps its fault domain in change until it has
// something newer, whether it is away or suspended.
func (h homes) beyond(cluster string) bool {
	return h.Observing[cluster] || (h.Looking[cluster] || h.isAway(cluster)) && !h.dangles(cluster)
}

func (s *Situation) isAway(cluster string) bool {
	p := s.presence(cluster)
	return p == away || p == lost
}

// begin begins a rollout. It takes the place of the one that runs, and goes on in the fault domains that this one is changing. Those of one that
// a person let in all at once are more than may be: they are given up.
func (c *course) begin(ch change) {
	old := c.running()
	if old != nil && old.Spec.Orders.AllAtOnce {
		c.holdAll()
	}
	needs := c.reachable(c.wanted)
	if len(needs) == 0 && old == nil {
		return
	}
	r := c.fresh(ch)
	if last := c.newest(ch); last != nil {
		r.Spec.Number = last.Spec.Number + 1
		if moved := c.moved(needs); len(moved) > 0 && last.Status.Phase == v1alpha1.RolloutComplete && ch.undoes == nil && old == nil {
			needs, r.Spec.Moves = moved, true // all else is owed meanwhile
		}
	}
	r.Name, r.Generation, r.CreationTimestamp, r.Status.Phase = rolloutName(r.Spec), 1, *c.stamp(), v1alpha1.RolloutPending
	if old != nil {
		if r.Status.InChange = old.Status.InChange; len(r.Status.InChange) > 0 {
			r.Spec.Domain, r.Spec.Carried = old.Spec.Domain, c.homes().carried()
			r.Status.Until = c.untilOf(old, r.Spec.ProgressDeadline.Duration)
		}
		c.supersede(old, r)
	}
	c.active, c.waits = r, map[string]*v1alpha1.RolloutWait{}
	r.Spec.Without = c.lost()
	r.Spec.Waves = c.cut(needs, r.Status.InChange)
	r.Status.Waves = make([]v1alpha1.WaveStatus, len(r.Spec.Waves))
	c.letGo()
}

// fresh is a rollout of a change, by what the bundle says, and without any wave.
func (c *course) fresh(ch change) *v1alpha1.Rollout {
	policy := c.policy()
	soak, deadline := timesOf(policy)
	r := &v1alpha1.Rollout{TypeMeta: v1alpha1.TypeOf("Rollout")}
	r.Spec = v1alpha1.RolloutSpec{
		Bundle: c.name, BundleUID: ch.uid, Revision: ch.revision, Generation: ch.generation, Number: 1,
		Domain: c.Fleet.Domain, Soak: soak, ProgressDeadline: deadline, MaxFailures: policy.MaxFailures, Approval: policy.Approval, Stages: policy.Stages,
		Windows: policy.Windows, Gates: policy.Gates, Deletions: policy.Deletions, OnFailure: policy.OnFailure,
	}
	if ch.undoes != nil {
		undoing(&r.Spec, ch.undoes.Name)
	}
	return r
}

// Waves are those in which a bundle, written as it is, would be given to some clusters of the fleet and taken from others, were it the only
// one, and nothing of it in change.
func Waves(fleet v1alpha1.FleetRollout, b *v1alpha1.Bundle, clusters []v1alpha1.Cluster, give, withdraw []string) []v1alpha1.Wave {
	s := Situation{Scene: Scene{Clusters: clusters}, Fleet: fleet.Resolved(), Bundles: []*v1alpha1.Bundle{b}}
	s.index()
	c := coursesOf(&s)[0]
	c.active = c.fresh(c.change())
	needs := map[string]need{}
	for _, cluster := range give {
		needs[cluster] = need{}
	}
	for _, cluster := range withdraw {
		needs[cluster] = need{withdraw: true}
	}
	return c.cut(needs, nil)
}

// supersede ends a rollout in favour of another, which has its fault domains from here on.
func (c *course) supersede(old, by *v1alpha1.Rollout) {
	for i := range old.Status.Waves {
		if s := &old.Status.Waves[i]; s.Open() {
			s.Released, s.Waiting = c.stamp(), nil
		}
	}
	if by.Spec.Undoes == old.Name {
		c.end(v1alpha1.RolloutRolledBack, fmt.Sprintf("back to %s: %s", by.Spec.Revision, old.Status.Stopped))
	} else {
		c.end(v1alpha1.RolloutSuperseded, "by "+by.Name)
	}
	c.before = old
}

// rolloutName tells the rollouts of a revision apart.
func rolloutName(s v1alpha1.RolloutSpec) string {
	name := cmp.Or(s.Revision, fmt.Sprintf("%s-%.8s-withdrawal", s.Bundle, s.BundleUID))
	if s.Number > 1 {
		name = fmt.Sprintf("%s.%d", name, s.Number)
	}
	return name
}

// policy is what the bundle says; of a deleted one, what its last rollout did.
func (c *course) policy() v1alpha1.BundleRollout {
	if c.bundle != nil {
		return c.bundle.Spec.Rollout.Resolved(c.Fleet)
	}
	r := c.latest()
	if r == nil {
		return (*v1alpha1.BundleRollout)(nil).Resolved(c.Fleet)
	}
	for failed := range c.all() {
		if failed.Name == r.Spec.Undoes { // what takes a change back waits for nobody; that is not what the bundle said
			r = failed
		}
	}
	return v1alpha1.BundleRollout{Soak: &r.Spec.Soak, ProgressDeadline: &r.Spec.ProgressDeadline, MaxFailures: r.Spec.MaxFailures, OnFailure: r.Spec.OnFailure, Approval: r.Spec.Approval, Stages: r.Spec.Stages, Windows: r.Spec.Windows, Gates: r.Spec.Gates, Deletions: r.Spec.Deletions}
}

// end ends the rollout that runs.
func (c *course) end(phase v1alpha1.RolloutPhase, message string) {
	r := c.active
	ready := metav1.ConditionFalse
	if phase == v1alpha1.RolloutComplete {
		ready = metav1.ConditionTrue
	}
	r.Status.Phase, r.Status.Message, r.Status.InChange, r.Status.Lost, r.Status.Deletions, r.Status.Ended = phase, message, nil, nil, nil, c.stamp()
	r.Status.Until, r.Status.Wait = nil, nil
	r.Status.Reason, r.Status.Since, r.Status.Blocked = "", nil, ""
	SetReady(&r.Status.Conditions, ready, string(phase), message, r.Generation, c.Now)
}

// conclude ends the rollout when every wave is settled.
func (c *course) conclude() {
	r := c.running()
	if r == nil || c.stopped() {
		return
	}
	for _, s := range r.Status.Waves {
		if !s.Over() {
			return
		}
	}
	r.Status.Owed = c.owed()
	message := "every cluster is healthy"
	if failed := c.failedBefore(); len(failed) > 0 {
		message = "every cluster is healthy but " + fewNames(failed)
	}
	if n := len(r.Status.Owed); n > 0 {
		message = fmt.Sprintf("%s; owed to %s", message, fewNames(r.Status.Owed))
		if noKey := c.NoKey(c.name, r.Status.Owed...); noKey != "" {
			message += "; " + noKey
		}
	}
	c.end(v1alpha1.RolloutComplete, message)
}

// sorted are the keys of a map.
func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
