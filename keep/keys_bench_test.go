package keep

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/secrets"
)

// BenchmarkKeepKeys is one look of a member of a group of 100 at its 1,000 secrets, of which one more is sealed again, when that is another one's turn.
func BenchmarkKeepKeys(b *testing.B) {
	id, err := secrets.NewIdentity()
	if err != nil {
		b.Fatal(err)
	}
	member := store.Member{ID: "m", Cluster: "cluster-050", Pin: store.Pin{1}}
	g := v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"reads": "yes"}}}}
	g.Status = v1alpha1.RecipientGroupStatus{Epoch: 2, Recipient: strings.Repeat("r", 1600)}
	state := map[string]any{}
	for i := range 100 {
		c := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("cluster-%03d", i), Labels: map[string]string{"reads": "yes"}}}
		if c.Status.Recipient = fmt.Sprintf("%01600d", i); c.Name == member.Cluster {
			c.Status.Recipient = id.Recipient().String()
		}
		state[v1alpha1.KeyClusters+c.Name] = c
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: c.Name, Key: v1alpha1.KeyID(c.Status.Recipient), Epoch: 2, Wrap: make([]byte, 100)})
	}
	state[v1alpha1.KeyRecipientGroups+g.Name] = g
	for i := range 1000 {
		name := fmt.Sprintf("secret.s-%04d", i)
		revision := v1alpha1.RevisionName(name, "u", 1)
		state[v1alpha1.KeyBundleRevisions+revision] = map[string]any{"spec": map[string]any{
			"bundle": name, "bundleUID": "u", "generation": 1, "manifests": []any{map[string]any{"spec": map[string]any{"group": g.Name, "data": make([]byte, 500)}}}}}
		if i%2 == 0 {
			state[v1alpha1.KeySealings+revision] = v1alpha1.Sealing{Group: g.Name, Epoch: 2, By: "cluster-000", Found: 1, Confirmed: "cluster-001", Witness: "cluster-001", Data: make([]byte, 500)}
		}
	}
	s := storetest.Store(b, member, state)
	k := keeperOf(Holder{Fleet: "acme", Cluster: member.Cluster, Age: id})
	there := func(string) bool { return true }
	k.opened[g.Name] = g.WrapFor(member.Cluster, id.Recipient().String())
	b.ReportAllocs()
	index := uint64(1000)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		revision := v1alpha1.RevisionName(fmt.Sprintf("secret.s-%04d", i%500*2+1), "u", 1)
		entry, err := store.EncodeEntry([]store.Command{{Proposer: member.ID, Txn: &store.Txn{Then: []store.Op{store.Put(v1alpha1.KeySealings+revision, []byte(fmt.Sprintf(`{"group":"readers","epoch":2,"by":"cluster-000","found":%d}`, i)))}}}})
		if err != nil {
			b.Fatal(err)
		}
		index++
		if _, err := s.Apply(index, 1, entry); err != nil {
			b.Fatal(err)
		}
		v := s.View()
		groups, _ := k.config.Kinds.Groups.Readable(v)
		b.StartTimer()
		of, err := k.config.Kinds.Candidates(v)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := k.lookAtKey(b.Context(), v, groups[0], of, there); err != nil {
			b.Fatal(err)
		}
		if _, err := k.keepSealed(b.Context(), v, groups[0], of, there); err != nil {
			b.Fatal(err)
		}
	}
}
