package agent

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/law"
)

// TestTheLeaderDoesNotRestWhileSomethingIsPlacedElsewhere, and does while only something is said of a cluster.
func TestTheLeaderDoesNotRestWhileSomethingIsPlacedElsewhere(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	cluster := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra", Labels: map[string]string{"reads": "no"}}}
	group := v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	clusterKey, groupKey := v1alpha1.KeyClusters+"fra", v1alpha1.KeyRecipientGroups+"readers"
	labelled, said := cluster, cluster
	labelled.Labels = map[string]string{"reads": "yes"}
	said.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue}}
	wrapped, spoken := group, group
	wrapped.Status.Wraps = []v1alpha1.KeyWrap{{Cluster: "fra", Epoch: 1}}
	spoken.Status.Left = []v1alpha1.FormerReader{{Cluster: "muc"}}
	for name, c := range map[string]struct {
		key   string
		value any
		want  bool
	}{
		"a cluster's labels":                {clusterKey, labelled, true},
		"what is said of a cluster":         {clusterKey, said, false},
		"a cluster that is gone":            {clusterKey, nil, true},
		"a cluster that is new":             {v1alpha1.KeyClusters + "muc", cluster, true},
		"a key that is wrapped":             {groupKey, wrapped, true},
		"who left a group":                  {groupKey, spoken, false},
		"a bundle, which comes in its turn": {v1alpha1.KeyBundles + "shop", v1alpha1.Bundle{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Store(t, member, map[string]any{clusterKey: cluster, groupKey: group})
			before := s.View()
			if elsewhere(before, s.View()) {
				t.Fatal("nothing was written")
			}
			op := store.Delete(c.key)
			if c.value != nil {
				var err error
				if op, err = law.Put(c.key, c.value); err != nil {
					t.Fatal(err)
				}
			}
			entry, err := store.EncodeEntry([]store.Command{{Proposer: member.ID, Txn: &store.Txn{Then: []store.Op{op}}}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(2, 1, entry); err != nil {
				t.Fatal(err)
			}
			if s.View().Revision() == before.Revision() {
				t.Fatal("it was not written")
			}
			if got := elsewhere(before, s.View()); got != c.want {
				t.Errorf("elsewhere: %v", got)
			}
		})
	}
}
