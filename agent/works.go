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
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// worksPause is the least time between two computations of all works.
const worksPause = 10 * time.Millisecond

// works computes the kind Work: what the log wants of each cluster, and what the cluster's member said last.
type works struct {
	core *Core
	decoded
	told *told
	ages *ages
}

func newWorks(c *Core) *works {
	return &works{core: c, decoded: c.decoded, told: newTold(c), ages: &ages{}}
}

// steadyWorks are works whose conditions keep the time of their last transition, as this member saw it. It is used from one
// goroutine.
type steadyWorks struct {
	*works
	before map[types.UID]metav1.Condition
}

// list computes every Work of a view. What this member sees for the first time was so when the cluster's member was heard.
func (w *steadyWorks) list(v *store.View) ([]v1alpha1.Work, error) {
	all, err := w.works.list(v)
	if err != nil {
		return nil, err
	}
	now := metav1.NewTime(w.core.now().Truncate(time.Second))
	next := make(map[types.UID]metav1.Condition, len(all))
	for i := range all {
		c := &all[i].Status.Conditions[0]
		if was, known := w.before[all[i].UID]; known && was.Status == c.Status {
			c.LastTransitionTime = was.LastTransitionTime
		} else if known {
			c.LastTransitionTime = now
		}
		next[all[i].UID] = *c
	}
	w.before = next
	return all, nil
}

// uidOf is the UID of what is computed from objects: the same on every member, and another one when one of them is.
func uidOf(resource string, of ...string) types.UID {
	return types.UID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(resource+"/"+strings.Join(of, "/"))).String())
}

// pair is a bundle's name in a cluster.
type pair struct{ bundle, cluster string }

// list computes every Work of a view, sorted by name.
func (w *works) list(v *store.View) ([]v1alpha1.Work, error) {
	bundles, err := w.bundles.list(v)
	if err != nil {
		return nil, err
	}
	found, scene, err := w.wanted(v, bundles)
	if err != nil {
		return nil, err
	}
	seen, looking := w.core.sightings(v), epoch.Looking(v)
	all := make([]v1alpha1.Work, 0, len(found))
	for p, work := range found {
		work.Name, work.TypeMeta = v1alpha1.WorkName(p.bundle, p.cluster), v1alpha1.TypeOf("Work")
		work.Labels = map[string]string{v1alpha1.LabelBundle: p.bundle, v1alpha1.LabelCluster: p.cluster}
		work.Status = statusOf(seen[p.cluster], *work)
		if noKey := scene.NoKey(p.bundle, p.cluster); noKey != "" {
			lacksKey(&work.Status, *work, noKey)
		}
		if _, looks := looking[p.cluster]; looks {
			onlyLooks(&work.Status, *work)
		}
		all = append(all, *work)
	}
	slices.SortFunc(all, func(a, b v1alpha1.Work) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// wanted says what the log wants: by placement, and by the grants that are there.
func (w *works) wanted(v *store.View, bundles []object[v1alpha1.Bundle]) (map[pair]*v1alpha1.Work, plan.Scene, error) {
	clusters, err := w.clusters.list(v)
	if err != nil {
		return nil, plan.Scene{}, err
	}
	grants, err := w.grants.list(v)
	if err != nil {
		return nil, plan.Scene{}, err
	}
	ground := ground(v, w.told, clusters, grants)
	if ground.Sealed, err = w.bundles.sealed(v, ground.Clusters); err != nil {
		return nil, ground, err
	}
	uids := map[string]string{}
	for _, c := range clusters {
		uids[c.value.Name] = string(c.value.UID)
	}
	found := map[pair]*v1alpha1.Work{}
	for _, b := range bundles {
		picked, err := plan.Picks(b.value.Spec.Placement, ground.Ground(b.value.Name))
		if err != nil {
			continue // wanted nowhere; its status says why
		}
		for _, c := range picked {
			found[pair{b.value.Name, c}] = newWork(b.value, c, uids[c])
		}
	}
	for _, g := range grants {
		cluster, _ := v1alpha1.CutGrantKey(g.key)
		p := pair{g.value.Bundle, cluster}
		if found[p] == nil {
			found[p] = &v1alpha1.Work{
				ObjectMeta: metav1.ObjectMeta{UID: uidOf("works", g.value.BundleUID, uids[cluster]), CreationTimestamp: w.ages.of(v, g.value.Bundle, g.value.BundleUID)},
				Spec:       v1alpha1.WorkSpec{Bundle: p.bundle, Cluster: p.cluster},
			}
		}
		if !g.value.Held {
			found[p].Spec.Granted, found[p].Spec.Frozen = g.value.Revision, g.value.Frozen
		}
	}
	return found, ground, nil
}

// newWork is what a bundle wants of a cluster. Its generation is the bundle's.
func newWork(b *v1alpha1.Bundle, cluster, clusterUID string) *v1alpha1.Work {
	return &v1alpha1.Work{
		ObjectMeta: metav1.ObjectMeta{UID: uidOf("works", string(b.UID), clusterUID), CreationTimestamp: b.CreationTimestamp, Generation: b.Generation},
		Spec: v1alpha1.WorkSpec{
			Bundle: b.Name, Cluster: cluster,
			Wanted: v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation),
		},
	}
}

// lacksKey says of a work that what is wanted is granted once the cluster has the key, in place of what it says of an earlier revision.
func lacksKey(s *v1alpha1.WorkStatus, w v1alpha1.Work, noKey string) {
	if w.Spec.Wanted == "" || w.Spec.Granted == w.Spec.Wanted {
		return
	}
	c := &s.Conditions[0]
	c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonNoKey, noKey
}

// onlyLooks says of a work that it waits for a person, behind what the cluster's member has said of it.
func onlyLooks(s *v1alpha1.WorkStatus, w v1alpha1.Work) {
	c := &s.Conditions[0]
	switch c.Reason {
	case v1alpha1.ReasonOldGrant:
		return // and stays so after a resume
	case v1alpha1.ReasonObserving:
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonObserving, "the cluster only looks"
	}
	c.Message += "; to let it act: hanse resume " + w.Spec.Cluster
}

// statusOf is what the cluster's member said of a bundle, with the one condition that sums it up.
func statusOf(s report.Sighting, w v1alpha1.Work) v1alpha1.WorkStatus {
	status := v1alpha1.WorkStatus{Health: v1alpha1.HealthUnknown}
	if r, ok := s.Bundles[w.Spec.Bundle]; ok {
		status = *r.Status.DeepCopy()
	}
	said := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	if !s.ToldAt.IsZero() {
		status.SeenAt = &metav1.Time{Time: s.ToldAt.Truncate(time.Second)}
	}
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: w.Generation, LastTransitionTime: w.CreationTimestamp}
	if status.SeenAt != nil {
		c.LastTransitionTime = *status.SeenAt
	}
	switch {
	case w.Spec.Wanted == "" && w.Spec.Granted != "":
		c.Reason, c.Message = "Withdrawing", "it is to leave the cluster: its turn has not come, or a person is to approve"
	case w.Spec.Wanted == "":
		c.Reason, c.Message = "Withdrawing", "it is being withdrawn from the cluster"
	case w.Spec.Granted == "":
		c.Reason, c.Message = "Owed", "the cluster is away, or its turn has not come"
	case said != nil && said.Status == metav1.ConditionUnknown: // the member cannot act in its cluster, and says why
		c.Status, c.Reason, c.Message = said.Status, said.Reason, said.Message
	case len(status.Problems) > 0:
		c.Reason, c.Message = status.Problems[0].Reason, status.Problems[0].Message
	case status.Applied != w.Spec.Granted:
		c.Reason, c.Message = "Applying", "the cluster has not applied the granted revision yet"
	case status.Health != v1alpha1.HealthReady:
		c.Reason, c.Message = string(status.Health), "the objects are not all healthy"
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, "Ready", "the granted revision runs, healthy"
	}
	status.Conditions = []metav1.Condition{c}
	return status
}
