package agent

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// worksPause is the least time between two computations of all works.
const worksPause = 10 * time.Millisecond

// works computes the kind Work: what the log wants of each cluster, and what the cluster's member said last.
type works struct {
	core *Core
	decoded.Kinds
	told *told
	ages *ages
}

func newWorks(c *Core) *works {
	return &works{core: c, Kinds: c.decoded, told: newTold(c), ages: &ages{}}
}

// pair is a bundle's name in a cluster.
type pair struct{ bundle, cluster string }

// entry is all that a Work is computed from: while it stays the same, so does the Work. A fleet may have a hundred thousand.
type entry struct {
	bundleUID, clusterUID string
	// made is when the bundle was, in seconds since 1970; 0: nobody knows.
	made int64
	// wanted says that the bundle is to be there, in the generation that it has.
	wanted     bool
	generation int64
	// granted is what the log allows the cluster to run, or did: held says that this was taken back.
	granted string
	held    bool
	frozen  *v1alpha1.Frozen
	// told is when the cluster's member said something last, in seconds since 1970, as Works show it; 0: it never did. What it said of
	// the bundle has the number said; 0: nothing.
	told  int64
	said  uint64
	looks bool
	// unread is why nobody knows whether it is wanted.
	unread string
	// waits is why the cluster is not granted what is wanted of it.
	waits plan.Wait
}

// wants is the revision that is wanted, "" when none is.
func (e entry) wants(bundle string) string {
	if !e.wanted {
		return ""
	}
	return v1alpha1.RevisionName(bundle, e.bundleUID, e.generation)
}

// grantIn is a bundle's grant in a cluster.
type grantIn struct {
	cluster string
	*v1alpha1.Grant
}

// byBundle are the grants of each bundle, none of them copied, as grantsBy does for plan.
func byBundle(grants []decoded.Object[v1alpha1.Grant]) map[string][]grantIn {
	by := map[string][]grantIn{}
	for _, g := range grants {
		cluster, _ := v1alpha1.CutGrantKey(g.Key)
		by[g.Value.Bundle] = append(by[g.Value.Bundle], grantIn{cluster, g.Value})
	}
	return by
}

// waiting says that what is wanted was not granted yet, or was taken back.
func (e entry) waiting(bundle string) bool {
	return e.held || e.granted != e.wants(bundle)
}

// each hands out what every Work of a view is computed from, in no order, with what the cluster's member said last of the bundle.
func (w *works) each(v *store.View, seen map[string]report.Sighting, found func(pair, entry, report.Bundle)) error {
	bundles, err := w.Bundles.List(v)
	if err != nil {
		return err
	}
	clusters, err := w.Clusters.List(v)
	if err != nil {
		return err
	}
	grants, err := w.Standing(v)
	if err != nil {
		return err
	}
	scene := sceneOf(v, w.told, clusters, nil)
	scene.Sealed, scene.Unread = w.Bundles.Sealed(v, scene.Clusters), w.Bundles.Unread(v)
	rollouts, err := w.Rollouts.List(v)
	if err != nil {
		return err
	}
	looking, byName := epoch.Looking(v), map[string]*v1alpha1.Cluster{}
	for _, c := range clusters {
		byName[c.Value.Name] = c.Value
	}
	add := func(p pair, e entry, by *plan.Errand) {
		s, cluster := seen[p.cluster], byName[p.cluster]
		e.told = seconds(metav1.Time{Time: s.ToldAt})
		said := saidOf(s, p.bundle)
		_, e.looks = looking[p.cluster]
		if e.said = said.Number; cluster != nil {
			e.clusterUID = string(cluster.UID)
		}
		if e.waiting(p.bundle) {
			e.waits = by.Awaits(cluster, e.held)
			if noKey := scene.NoKey(p.bundle, p.cluster); noKey != "" && e.wanted {
				e.waits = plan.Wait{Reason: v1alpha1.ReasonNoKey, Message: noKey}
			}
		}
		found(p, e, said)
	}
	errands := plan.ErrandsOf(decoded.Values(rollouts))
	ground, granted := scene.Ground(""), byBundle(grants)
	ground.Has = map[string]bool{}
	for _, b := range bundles {
		if scene.Unread[b.Value.Name] != "" {
			continue // nobody knows where it is wanted
		}
		by := errands.Of(string(b.Value.UID), b.Value.Generation)
		clear(ground.Has)
		by.Remember(ground.Has)
		w.of(v, b.Value, ground, granted[b.Value.Name], func(p pair, e entry) { add(p, e, &by) })
		delete(granted, b.Value.Name)
	}
	for name, left := range granted {
		for _, g := range left {
			by, e := errands.Of(g.BundleUID, 0), w.unwanted(v, g)
			e.unread = scene.Unread[name]
			add(pair{name, g.cluster}, e, &by)
		}
	}
	return nil
}

// saidOf is what a cluster's member said last of a bundle.
func saidOf(s report.Sighting, bundle string) report.Bundle {
	if said, ok := s.Bundles[bundle]; ok {
		return said
	}
	return report.Bundle{Status: v1alpha1.WorkStatus{Health: v1alpha1.HealthUnknown}}
}

// of hands out the entries of one bundle: where its placement wants it, and where there are grants of its name. What the ground says that
// has it is about to.
func (w *works) of(v *store.View, b *v1alpha1.Bundle, ground plan.Ground, granted []grantIn, add func(pair, entry)) {
	for _, g := range granted {
		if !g.Withdraw {
			ground.Has[g.cluster] = true
		}
	}
	picked, _ := plan.Picks(b.Spec.Placement, ground) // after an error it is wanted nowhere; its status says why
	known := make([]bool, len(picked))
	for _, g := range granted {
		at, wanted := slices.BinarySearch(picked, g.cluster)
		if !wanted {
			add(pair{b.Name, g.cluster}, w.unwanted(v, g))
			continue
		}
		known[at] = true
		add(pair{b.Name, g.cluster}, wantedOf(b).given(g))
	}
	for at, cluster := range picked {
		if !known[at] {
			add(pair{b.Name, cluster}, wantedOf(b))
		}
	}
}

// wantedOf is what a bundle wants of a cluster. The Work's generation is the bundle's.
func wantedOf(b *v1alpha1.Bundle) entry {
	return entry{bundleUID: string(b.UID), made: seconds(b.CreationTimestamp), wanted: true, generation: b.Generation}
}

// unwanted is a grant that no bundle asks for.
func (w *works) unwanted(v *store.View, g grantIn) entry {
	return entry{bundleUID: g.BundleUID, made: seconds(w.ages.of(v, g.Bundle, g.BundleUID))}.given(g)
}

func (e entry) given(g grantIn) entry {
	e.granted, e.held, e.frozen = g.Revision, g.Held, g.Frozen
	return e
}

// seconds is a time in seconds since 1970, 0 when it is none; timeOf undoes it.
func seconds(t metav1.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func timeOf(seconds int64) metav1.Time {
	if seconds == 0 {
		return metav1.Time{}
	}
	return metav1.Unix(seconds, 0)
}

// list computes every Work of a view, sorted by name.
func (w *works) list(v *store.View) (all []v1alpha1.Work, err error) {
	err = w.each(v, w.core.sightings(v), func(p pair, e entry, said report.Bundle) { all = append(all, e.work(p, said)) })
	slices.SortFunc(all, func(a, b v1alpha1.Work) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// uidOf is the UID of what is computed from objects: the same on every member, and another one when one of them is.
func uidOf(resource string, of ...string) types.UID {
	return types.UID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(resource+"/"+strings.Join(of, "/"))).String())
}

// work is the Work of an entry.
func (e entry) work(p pair, said report.Bundle) v1alpha1.Work {
	w := v1alpha1.Work{
		TypeMeta: v1alpha1.TypeOf("Work"),
		ObjectMeta: metav1.ObjectMeta{
			Name: v1alpha1.WorkName(p.bundle, p.cluster), UID: uidOf("works", e.bundleUID, e.clusterUID),
			Labels:            map[string]string{v1alpha1.LabelBundle: p.bundle, v1alpha1.LabelCluster: p.cluster},
			CreationTimestamp: timeOf(e.made), Generation: e.generation,
		},
		Spec:   v1alpha1.WorkSpec{Bundle: p.bundle, Cluster: p.cluster, Wanted: e.wants(p.bundle), Granted: e.granted, Frozen: e.frozen},
		Status: *said.Status.DeepCopy(),
	}
	if e.held {
		w.Spec.Granted, w.Spec.Held = "", e.granted
	}
	if e.told != 0 {
		w.Status.SeenAt = new(timeOf(e.told))
	}
	w.Status.Conditions = []metav1.Condition{e.ready(p, said)}
	return w
}

// ready is the one condition that sums a Work up.
func (e entry) ready(p pair, said report.Bundle) metav1.Condition {
	c := e.verdict(said.Status)
	c.Type, c.ObservedGeneration, c.LastTransitionTime = v1alpha1.ConditionReady, e.generation, timeOf(e.made)
	if e.told != 0 {
		c.LastTransitionTime = timeOf(e.told)
	}
	if e.waits.Reason == v1alpha1.ReasonNoKey { // in place of what it says of an earlier revision
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, e.waits.Reason, e.waits.Message
	}
	if e.looks {
		onlyLooks(&c, p.cluster)
	}
	return c
}

// onlyLooks says of a work that it waits for a person, behind what the cluster's member has said of it.
func onlyLooks(c *metav1.Condition, cluster string) {
	switch c.Reason {
	case v1alpha1.ReasonOldGrant:
		return // and stays so after a resume
	case v1alpha1.ReasonObserving:
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonObserving, "the cluster only looks"
	}
	c.Message += "; to let it act: hanse resume " + cluster
}

// verdict says how a work is by what the cluster's member said of it. What is wrong with what it runs comes before what it waits for.
func (e entry) verdict(status v1alpha1.WorkStatus) (c metav1.Condition) {
	c.Status = metav1.ConditionFalse
	said := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	switch {
	case e.unread != "":
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonUnreadable, e.unread+": what the cluster has of it stays as it is"
	case e.held:
		c.Reason, c.Message = e.waits.Reason, e.waits.Message
	case !e.wanted && e.granted != "":
		c.Reason, c.Message = "Withdrawing", "it is to leave the cluster: "+e.waits.Message
	case !e.wanted:
		c.Reason, c.Message = "Withdrawing", "it is being withdrawn from the cluster"
	case e.granted == "":
		c.Reason, c.Message = e.waits.Reason, e.waits.Message
	case said != nil && said.Status == metav1.ConditionUnknown: // the member cannot act in its cluster, and says why
		c.Status, c.Reason, c.Message = said.Status, said.Reason, said.Message
	case len(status.Problems) > 0:
		c.Reason, c.Message = status.Problems[0].Reason, status.Problems[0].Message
	case status.Applied != e.granted:
		c.Reason, c.Message = "Applying", "the cluster has not applied the granted revision yet"
	case status.Health != v1alpha1.HealthReady:
		c.Reason, c.Message = string(status.Health), "the objects are not all healthy"
	case e.waits.Reason != "":
		c.Reason, c.Message = e.waits.Reason, "it runs what it was granted before, healthy; "+e.waits.Message
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, "Ready", "the granted revision runs, healthy"
	}
	return c
}
