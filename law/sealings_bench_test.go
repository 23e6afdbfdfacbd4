package law

import (
	"fmt"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// BenchmarkSealings judges in a group of a hundred: one transaction that seals again, with what was kept of the one before and without, and what another
// label of a cluster takes from whom.
func BenchmarkSealings(b *testing.B) {
	r := keyed(b)
	clusters := []string{"fra"}
	for i := range 99 {
		name := fmt.Sprintf("c%02d", i)
		clusters = append(clusters, name)
		c := &v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: named(name), Spec: v1alpha1.ClusterSpec{Region: "r", Rights: v1alpha1.RightsAdmin}}
		c.Status.Recipient, c.Labels = "age of "+name, map[string]string{"reads": "yes"}
		if err := r.tryBare("id-fra", "", term, r.put(v1alpha1.KeyClusters+name, c)); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.tryBare("id-fra", "", term, r.group("readers", made(clusters...))); err != nil {
		b.Fatal(err)
	}
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...); err != nil {
		b.Fatal(err)
	}
	v := r.store.View()
	told := store.Txn{Then: []store.Op{r.put(sealingOfDB, v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 1, By: "fra"})}}
	for name, kept := range map[string]*Kept{"kept": {}, "anew": nil} {
		b.Run(name, func(b *testing.B) {
			law := Authority{Address: transport.CheckAddress, Kept: kept}
			for b.Loop() {
				if err := law.Authorize(v, store.Asker{Version: 1, Member: "id-fra"}, told); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	kv, _ := v.Get(v1alpha1.KeyClusters + "c50")
	b.Run("strands", func(b *testing.B) {
		for b.Loop() {
			if err := strands(v, Change{Key: kv.Key, Before: kv.Value, After: kv.Value}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("openers", func(b *testing.B) {
		for b.Loop() {
			if groups := SealedGroups(v); len(groups) != 1 || len(groups[0].Openers) != len(clusters) {
				b.Fatal(groups)
			}
		}
	})
}
