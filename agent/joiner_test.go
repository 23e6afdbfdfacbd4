package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// changes are three generations of the secret db, each sealed for a group of its own, and how the rollout of each stands: "" is none. They went to fra.
type changes [3]v1alpha1.RolloutPhase

func (c changes) revision(i int) string { return fmt.Sprintf("secret.db-u-%d", i+1) }

func (c changes) rollouts() (all []*v1alpha1.Rollout) {
	for i, phase := range c {
		if phase == "" {
			continue
		}
		at := metav1.Unix(int64(100+i), 0)
		r := &v1alpha1.Rollout{TypeMeta: v1alpha1.TypeOf("Rollout"), ObjectMeta: metav1.ObjectMeta{Name: c.revision(i), CreationTimestamp: at}}
		r.Spec = v1alpha1.RolloutSpec{Bundle: "secret.db", BundleUID: "u", Generation: int64(i + 1), Number: 1, Revision: c.revision(i), Domain: v1alpha1.LabelRegion, Waves: []v1alpha1.Wave{{Domain: "eu", Clusters: []string{"fra"}}}}
		r.Spec.Orders.Aborted = phase == v1alpha1.RolloutAborted
		r.Status.Phase, r.Status.Waves = phase, []v1alpha1.WaveStatus{{Granted: &at}}
		if phase == v1alpha1.RolloutComplete {
			r.Status.Waves[0].Settled = &at
		}
		if phase.Ended() {
			r.Status.Ended = &at
		} else {
			r.Status.InChange = []string{"eu"}
		}
		all = append(all, r)
	}
	return all
}

func (c changes) secret() *v1alpha1.FleetSecret {
	s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db", UID: "u", Generation: 3}}
	s.Spec.Group = "g3"
	return s
}

// granted is what fra has.
func (c changes) granted() v1alpha1.Grant {
	g := v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", At: 5}
	for i, phase := range c {
		if phase != "" {
			g.Revision, g.Held = c.revision(i), phase == v1alpha1.RolloutAborted
		}
	}
	return g
}

// comesTo are the revisions that a joiner may get next, as the leader decides; struck is one that an admin struck off, -1 for none.
func (c changes) comesTo(joiner string, struck int) (revisions []string) {
	now := time.Unix(1000, 0)
	g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "g3"}}
	g.Spec.ClusterSelector = &metav1.LabelSelector{}
	s := plan.Situation{Scene: plan.Scene{Now: now, Grants: map[string]map[string]v1alpha1.Grant{}, Sightings: map[string]plan.Sighting{}}, Wall: now, Silent: map[string]time.Duration{}, Looking: map[string]bool{},
		Fleet: (&v1alpha1.FleetRollout{}).Resolved(), Bundles: []*v1alpha1.Bundle{c.secret().AsBundle(g)}, Rollouts: c.rollouts(), Revisions: map[string]bool{}}
	for i := range c {
		s.Revisions[c.revision(i)] = i != struck
	}
	if has := c.granted(); has.Revision != "" {
		s.Grants["secret.db"] = map[string]v1alpha1.Grant{"fra": has}
	}
	for _, name := range []string{joiner, "fra"} {
		s.Clusters = append(s.Clusters, v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelRegion: "eu"}}})
		s.Sightings[name] = plan.Sighting{Fresh: true}
	}
	for _, step := range plan.Decide(s) {
		for _, r := range step.Rollouts {
			for _, w := range r.Spec.Waves {
				switch {
				case !slices.Contains(w.Clusters, joiner):
				case w.Revision != "":
					revisions = append(revisions, w.Revision)
				default:
					revisions = append(revisions, r.Spec.Revision)
				}
			}
		}
	}
	return revisions
}

// view is the log of a fleet in which fra alone opens what is sealed for the group of a generation, and nobody what is for others.
func (c changes) view(t *testing.T, generation, struck int) *store.View {
	t.Helper()
	const recipient = "age of fra"
	values := map[string]any{
		v1alpha1.KeyFleetSecrets + "db":       c.secret(),
		v1alpha1.KeyClusters + "fra":          v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra"}, Status: v1alpha1.ClusterStatus{Recipient: recipient}},
		v1alpha1.GrantKey("fra", "secret.db"): c.granted(),
	}
	for i := range c {
		group := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("g", i+1)}}
		group.Spec.ClusterSelector = &metav1.LabelSelector{}
		if i == generation {
			group.Status = v1alpha1.RecipientGroupStatus{Recipient: "of the group", Epoch: 1, Wraps: []v1alpha1.KeyWrap{{Cluster: "fra", Key: v1alpha1.KeyID(recipient), Epoch: 1, Wrap: []byte("wrap")}}}
		}
		values[v1alpha1.KeyRecipientGroups+group.Name] = group
		if i != struck {
			values[v1alpha1.KeyBundleRevisions+c.revision(i)] = map[string]any{"spec": map[string]any{"bundle": "secret.db", "bundleUID": "u", "generation": i + 1, "manifests": []any{map[string]any{"spec": map[string]any{"group": group.Name}}}}}
		}
	}
	for _, r := range c.rollouts() {
		values[v1alpha1.KeyRollouts+r.Name] = r
	}
	return storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
}

// What a joiner gets after a change was given up is what plan takes for the last good revision. The law says by a reading of its own which that may be:
// who alone opens it is not let go.
func TestWhatAJoinerGetsIsInUseByTheLaw(t *testing.T) {
	phases := []v1alpha1.RolloutPhase{"", v1alpha1.RolloutComplete, v1alpha1.RolloutSuperseded, v1alpha1.RolloutAborted, v1alpha1.RolloutRolledBack}
	last := append(phases, v1alpha1.RolloutRunning, v1alpha1.RolloutPaused)
	looked, older := 0, 0
	for _, first := range phases {
		for _, second := range phases {
			for _, third := range last {
				for struck := -1; struck < 2; struck++ {
					c := changes{first, second, third}
					for _, revision := range c.comesTo("ams", struck) {
						looked++
						i := slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return c.revision(i) == revision })
						if i < 2 {
							older++
						}
						if _, group := law.OnlyOpener(c.view(t, i, struck), "fra"); group != fmt.Sprint("g", i+1) {
							t.Errorf("%q, struck off %d: a joiner gets %s, and the law takes it for nothing that is in use", c, struck+1, revision)
						}
					}
				}
			}
		}
	}
	if t.Logf("%d revisions for joiners, %d of them older than the secret", looked, older); older < 20 {
		t.Error("too few to say anything")
	}
}
