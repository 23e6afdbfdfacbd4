package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// labelledClusters are 40 clusters of tier prod, and one of none.
func labelledClusters() (g plan.Ground, works map[string]map[string]v1alpha1.Work) {
	works = map[string]map[string]v1alpha1.Work{"shop": {}, "logs": {}, "kept": {}}
	for i := range 41 {
		c := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c%02d", i)}}
		if i < 40 {
			c.Labels = map[string]string{"tier": "prod"}
			for bundle := range works {
				works[bundle][c.Name] = v1alpha1.Work{Spec: v1alpha1.WorkSpec{Granted: bundle + "-1"}, Status: v1alpha1.WorkStatus{Objects: 5}}
			}
		}
		g.Clusters = append(g.Clusters, c)
	}
	return g, works
}

// goes lets nothing stay where a bundle leaves.
func goes(v1alpha1.Work) (bool, error) { return false, nil }

func forTier(name string, tier string) v1alpha1.Bundle {
	b := v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: name}}
	b.Spec.Placement.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": tier}}
	return b
}

func TestTheLabelTakenFromFortyClustersSaysWhatWouldLeave(t *testing.T) {
	ground, works := labelledClusters()
	kept := forTier("kept", "prod") // it was let go of before, and is not any more
	shop := forTier("shop", "prod")
	shop.Spec.Deletion = v1alpha1.DeletionOrphan // it is to be let go of, and no cluster has heard of that
	letsGo := func(w v1alpha1.Work) (bool, error) { return w.Spec.Granted == "kept-1", nil }
	all := v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "logs"}}
	all.Spec.Placement.ClusterSelector = &metav1.LabelSelector{}
	bundles := []v1alpha1.Bundle{forTier("edge", "edge"), kept, all, shop}

	then := nothingYet()
	for _, c := range ground.Clusters[:40] {
		c.Labels = nil
		then.clusters[c.Name] = c
	}
	edge := ground.Clusters[40]
	edge.Labels = map[string]string{"tier": "edge"}
	then.clusters[edge.Name] = edge

	moves, err := movesOf(bundles, bundles, scene{ground: ground, works: works}, then, letsGo)
	if err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	printMoves(&told, moves)
	want := `2 bundles would leave 40 clusters, and 200 objects would be deleted, by rollouts:
  kept   leaves c00, c01, c02, c03, c04 and 35 more   0 objects are deleted
  shop   leaves c00, c01, c02, c03, c04 and 35 more   200 objects are deleted
  edge   comes to c40
`
	if diff := cmp.Diff(want, told.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsToLeaveAlreadyIsNotOfTheChange(t *testing.T) {
	ground, works := labelledClusters()
	works["gone"] = works["shop"]
	bundles := []v1alpha1.Bundle{forTier("gone", "none")}
	then := nothingYet()
	c := ground.Clusters[0]
	c.Spec.Availability = v1alpha1.AvailabilityDrained
	then.clusters[c.Name] = c
	if moves, err := movesOf(bundles, bundles, scene{ground: ground, works: works}, then, goes); err != nil || len(moves) > 0 {
		t.Errorf("%v, %v", moves, err)
	}
}

func TestAGroupsSelectorMovesItsSecrets(t *testing.T) {
	ground, works := labelledClusters()
	group := v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "db"}}
	group.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
	secret := v1alpha1.FleetSecret{ObjectMeta: metav1.ObjectMeta{Name: "password"}}
	secret.Spec.Group = "db"
	works["secret.password"] = map[string]v1alpha1.Work{}
	for _, c := range ground.Clusters[:40] {
		works["secret.password"][c.Name] = v1alpha1.Work{Spec: v1alpha1.WorkSpec{Granted: "secret.password-1"}, Status: v1alpha1.WorkStatus{Objects: 1}}
	}
	now := rolledOut{secrets: []v1alpha1.FleetSecret{secret}, groups: map[string]v1alpha1.RecipientGroup{"db": group}}
	then := nothingYet()
	group.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "edge"}}
	then.groups["db"] = group
	moves, err := movesOf(now.bundles(), now.with(then).bundles(), scene{ground: ground, works: works}, then, goes)
	if err != nil || len(moves) != 1 || moves[0].Bundle != "secret.password" || len(moves[0].Leaves) != 40 || moves[0].Deleted != 40 {
		t.Errorf("%+v, %v", moves, err)
	}
}

func TestADiffThatCouldNotAskIsNoneThatIsWell(t *testing.T) {
	same := []difference{{Kind: "bundle", Name: "shop", Clusters: []prospect{{Cluster: "fra"}, {Cluster: "iad", Granted: true}, {Cluster: "sin", Unasked: []refusal{{Why: "forbidden"}}}}}}
	if err := differs(same, false); err == nil || !strings.Contains(err.Error(), "iad, sin") {
		t.Errorf("it ends with %v", err)
	}
	if err := differs(same, true); err != nil {
		t.Errorf("nobody was to be asked, and it ends with %v", err)
	}
	if err := differs([]difference{{Kind: "bundle", Clusters: same[0].Clusters[:1]}}, false); err != nil {
		t.Errorf("all were asked, and it ends with %v", err)
	}
}
