package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Content is what a revision brings into each cluster that runs it: no override changes which objects there are.
type Content struct {
	BundleUID string
	Objects   []v1alpha1.ObjectRef
	// Deletion is what becomes of objects that go.
	Deletion v1alpha1.DeletionPolicy
	// Wholes are the numbers that the bundle's divisions divide, one each.
	Wholes []int32
}

// firstDeletions is how many objects are named that would go.
const firstDeletions = 10

// loss is what one cluster would lose.
type loss struct {
	*drop
	withdrawn bool
	// granted is in a wave to come: what is only owed is asked about with the others, and holds nothing up.
	granted bool
	// asked for by an admin who drains the cluster.
	asked bool
	// moved says that others have it, as the cluster was unreachable for too long.
	moved bool
}

// drop is what goes between revisions, however many clusters go that way.
type drop struct {
	objects []v1alpha1.ObjectRef
	// of so many that are there, at least; unknown says that nobody knows.
	of      int
	unknown bool
	// worst is one of the objects that take others, or data, with them; nil when none does.
	worst *v1alpha1.ObjectRef
}

// guard finds out whether what the waves to come delete may go without a person's word. While it may not, nothing of the rollout
// is granted; of a bundle that moves away from clusters that are to lose it, nothing is taken from these.
func (c *course) guard() {
	r := c.running()
	if r == nil {
		return
	}
	r.Status.Deletions = nil
	if c.Contents == nil {
		return
	}
	losses := c.losses()
	if len(losses) == 0 {
		return
	}
	reason, asking := c.beyondCap(losses)
	maps.DeleteFunc(asking, func(cluster string, l loss) bool { return c.approved(cluster, l) })
	for _, l := range asking {
		if l.granted {
			r.Status.Deletions = c.tell(reason, asking)
			return
		}
	}
}

// waitsForWord says that a person must let the rollout delete something before it grants anything.
func (c *course) waitsForWord() bool { return c.active.Status.Deletions != nil && !c.keepsUntilWord() }

// keepsUntilWord says that all that waits for a person's word is what moves away from clusters that an admin wants empty, or that were evicted:
// whoever it comes to gets it before.
func (c *course) keepsUntilWord() bool {
	d := c.active.Status.Deletions
	return d != nil && c.moves() && !slices.ContainsFunc(d.Clusters, func(l v1alpha1.ClusterDeletions) bool {
		return !l.Withdrawn || !c.isDriven(l.Name) && !c.movedFrom(l.Name)
	})
}

// keptUntilWord is a cluster from which a wave would take the bundle before a person said so, "" for none.
func (c *course) keptUntilWord(w v1alpha1.Wave) string {
	if d := c.active.Status.Deletions; d != nil {
		for _, l := range d.Clusters {
			if slices.Contains(w.Withdraw, l.Name) {
				return l.Name
			}
		}
	}
	return ""
}

// losses are what the clusters of the waves to come would lose, and those that are owed the change.
func (c *course) losses() map[string]loss {
	losses := map[string]loss{}
	add := func(cluster, revision string, granted bool) {
		if _, twice := losses[cluster]; twice {
			return
		}
		if d := c.dropIn(cluster, revision); d != nil && (len(d.objects) > 0 || d.unknown) {
			losses[cluster] = loss{drop: d, withdrawn: revision == "", granted: granted, asked: c.isDriven(cluster), moved: revision == "" && c.movedFrom(cluster)}
		}
	}
	for i, w := range c.active.Spec.Waves {
		if c.active.Status.Waves[i].Granted != nil {
			continue
		}
		for _, cluster := range w.Clusters {
			add(cluster, c.revisionOf(w), true)
		}
		for _, cluster := range w.Withdraw {
			add(cluster, "", true)
		}
	}
	for cluster, n := range c.wanted {
		revision := cmp.Or(n.instead, c.active.Spec.Revision)
		if n.withdraw {
			revision = ""
		}
		add(cluster, revision, false)
	}
	return losses
}

// movedFrom says that the bundle has moved away from a cluster.
func (c *course) movedFrom(name string) bool {
	cluster := c.cluster(name)
	return cluster != nil && c.moves() && Evicted(c.bundle.Spec.Placement, cluster)
}

// movesAway says that the bundle has moved away from some cluster, which has it still.
func (c *course) movesAway() bool {
	for cluster := range c.Grants[c.name] {
		if c.movedFrom(cluster) {
			return true
		}
	}
	return false
}

// moved are the needs that come of moving away from clusters that are gone for too long: of others that take over there, and of those that
// lose the bundle.
func (c *course) moved(needs map[string]need) map[string]need {
	moved := map[string]need{}
	if !c.movesAway() {
		return moved
	}
	for cluster, n := range needs {
		g, has := c.grantOf(cluster)
		picked := !n.withdraw && (!has || g.Withdraw) && c.bundle.Spec.Placement.NumberOfClusters != nil
		if picked || n.parts != nil || n.withdraw && c.movedFrom(cluster) {
			moved[cluster] = n
		}
	}
	return moved
}

// isDriven says that an admin wants the cluster empty.
func (c *course) isDriven(name string) bool {
	cluster := c.cluster(name)
	if cluster == nil || c.bundle == nil {
		return false
	}
	d := door{placement: c.bundle.Spec.Placement}
	return cluster.Spec.Availability == v1alpha1.AvailabilityDrained || slices.ContainsFunc(cluster.Spec.Taints, func(t v1alpha1.Taint) bool {
		return t.Effect == v1alpha1.TaintNoExecute && !d.tolerates(t)
	})
}

// dropIn is what goes in a cluster when it gets a revision, or none; nil when nothing does. What it may have is what it was
// granted and what it was heard to run.
func (c *course) dropIn(cluster, revision string) *drop {
	g, has := c.grantOf(cluster)
	if !has || revision != "" && g.BundleUID != c.active.Spec.BundleUID { // a bundle of the same name takes over, and deletes nothing
		return nil
	}
	if g.Withdraw && !g.Held {
		return nil // it is at it
	}
	work := c.Sightings[cluster].Works[c.name]
	return c.between(way{granted: g.Revision, runs: work.Applied, uid: g.BundleUID, to: revision, lost: isOfALostPast(work)})
}

// isOfALostPast says that a cluster has acted on what the log has lost. A revision of that past may have the name of one that came since.
func isOfALostPast(w v1alpha1.WorkStatus) bool {
	ready := meta.FindStatusCondition(w.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == v1alpha1.ReasonOldGrant
}

// way is from what a cluster may have to what it gets; "" is nothing. With lost it has something that the log knows nothing of.
type way struct {
	granted, runs, uid, to string
	lost                   bool
}

func (c *course) between(w way) *drop {
	if d, known := c.drops[w]; known {
		return d
	}
	if c.drops == nil {
		c.drops = map[way]*drop{}
	}
	c.drops[w] = c.dropBetween(w)
	return c.drops[w]
}

func (c *course) dropBetween(w way) *drop {
	to, known := c.Contents(w.to)
	if w.to != "" && (!known || to.Deletion == v1alpha1.DeletionOrphan) {
		return nil // who cannot render it deletes nothing
	}
	d := &drop{unknown: w.lost}
	stays, seen := identities(to.Objects), map[Identity]bool{}
	for _, from := range slices.Compact([]string{w.granted, w.runs}) {
		had, known := c.Contents(from)
		switch {
		case from == "":
			continue
		case !known:
			d.unknown = true
			continue
		case had.BundleUID != w.uid:
			continue
		}
		if n := len(had.Objects); d.of == 0 || 0 < n && n < d.of {
			d.of = n // in doubt, the fewer
		}
		if w.to == "" && had.Deletion == v1alpha1.DeletionOrphan {
			continue // all of it stays
		}
		for _, ref := range had.Objects {
			id := Identify(ref)
			if seen[id] {
				continue
			}
			if seen[id] = true; !stays[id] {
				d.objects = append(d.objects, ref)
			}
		}
	}
	slices.SortFunc(d.objects, worstFirst)
	if len(d.objects) > 0 && precious(d.objects[0]) {
		d.worst = &d.objects[0]
	}
	return d
}

func identities(refs []v1alpha1.ObjectRef) map[Identity]bool {
	all := make(map[Identity]bool, len(refs))
	for _, ref := range refs {
		all[Identify(ref)] = true
	}
	return all
}

// worstFirst orders objects: those first that take others, or data, with them.
func worstFirst(a, b v1alpha1.ObjectRef) int {
	return cmp.Or(compareBool(precious(b), precious(a)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// beyondCap are the losses that a person must be asked about, and why.
func (c *course) beyondCap(losses map[string]loss) (reason string, asking map[string]loss) {
	limits := c.Fleet.Resolved().Deletions.Tightened(c.active.Spec.Deletions)
	asking = map[string]loss{}
	total, of := int(c.active.Status.Deleted), int(c.active.Status.Deleted)
	for cluster := range c.Grants[c.name] {
		if d := c.dropIn(cluster, ""); d != nil {
			of += d.of
		}
	}
	for _, cluster := range sorted(losses) {
		l := losses[cluster]
		total += len(l.objects)
		if (l.asked || l.moved) && l.worst == nil && !l.unknown {
			continue
		}
		if why := l.beyond(*limits.PerCluster, "in "+cluster); why != "" {
			reason, asking[cluster] = cmp.Or(reason, why), l
		}
	}
	if why := tooMany(total, of, *limits.Fleet, "in the fleet"); why != "" {
		return cmp.Or(reason, why), losses
	}
	return reason, asking
}

// beyond says why a person must be asked, "" when none must.
func (d *drop) beyond(limit v1alpha1.DeletionBound, where string) string {
	switch {
	case d.unknown:
		return "it is not known what goes " + where
	case d.worst != nil:
		return fmt.Sprintf("%s goes %s, and what is in it", Name(*d.worst), where)
	}
	return tooMany(len(d.objects), d.of, limit, where)
}

// tooMany says that more objects go than a bound lets pass unasked, "" when they do not.
func tooMany(n, of int, limit v1alpha1.DeletionBound, where string) string {
	switch {
	case n > int(*limit.Objects):
		return fmt.Sprintf("%s %s, more than %d", v1alpha1.Counted(n, "1 object goes", "%d objects go"), where, *limit.Objects)
	case n*100 > int(*limit.Percent)*of:
		return fmt.Sprintf("%d of %d objects go %s, more than %d%%", n, of, where, *limit.Percent)
	}
	return ""
}

// approved says that a person let a cluster lose so much. What was said of a deleted bundle holds until it is gone everywhere: who
// is away now is given a later rollout. Of what the cluster has of another bundle of the name it says nothing.
func (c *course) approved(cluster string, l loss) bool {
	g, _ := c.grantOf(cluster)
	for _, r := range c.rollouts {
		if r.Name == c.active.Name || c.bundle == nil && r.Spec.BundleUID == g.BundleUID && r.Spec.Revision == "" {
			if n, said := r.Spec.Orders.Deletions[cluster]; said && int(n) >= len(l.objects) {
				return true
			}
		}
	}
	return false
}

// tell says what would go.
func (c *course) tell(reason string, losses map[string]loss) *v1alpha1.RolloutDeletions {
	told := &v1alpha1.RolloutDeletions{Reason: reason}
	seen, drops := map[Identity]bool{}, map[*drop]bool{}
	for _, cluster := range sorted(losses) {
		l := losses[cluster]
		told.Objects += int32(len(l.objects))
		told.Of += int32(l.of)
		told.Clusters = append(told.Clusters, v1alpha1.ClusterDeletions{Name: cluster, Objects: int32(len(l.objects)), Withdrawn: l.withdrawn})
		if drops[l.drop] {
			continue
		}
		drops[l.drop] = true
		for _, ref := range l.objects {
			if !seen[Identify(ref)] {
				seen[Identify(ref)] = true
				told.First = append(told.First, ref)
			}
		}
	}
	slices.SortFunc(told.First, worstFirst)
	told.First = told.First[:min(firstDeletions, len(told.First))]
	return told
}

// lostWith is how many objects go with a wave.
func (c *course) lostWith(w v1alpha1.Wave) (n int32) {
	if c.Contents == nil {
		return 0
	}
	count := func(clusters []string, revision string) {
		for _, cluster := range clusters {
			if d := c.dropIn(cluster, revision); d != nil {
				n += int32(len(d.objects))
			}
		}
	}
	count(w.Clusters, c.revisionOf(w))
	count(w.Withdraw, "")
	return n
}

// deletionsText is what waits for a person's approval, on one line.
func deletionsText(r *v1alpha1.Rollout) string {
	d := r.Status.Deletions
	var clusters, objects []string
	for _, c := range d.Clusters {
		clusters = append(clusters, c.Name)
	}
	for _, ref := range d.First[:min(3, len(d.First))] {
		objects = append(objects, Name(ref))
	}
	if len(d.First) > 3 {
		objects = append(objects, "…")
	}
	why := d.Reason
	if d.Objects > 0 {
		why = fmt.Sprintf("it would delete %d of %d objects in %s (%s), and %s", d.Objects, d.Of, fewNames(clusters), strings.Join(objects, ", "), why)
	}
	return fmt.Sprintf("%s; to let it: hanse rollout approve %s --deletions", why, r.Name)
}
