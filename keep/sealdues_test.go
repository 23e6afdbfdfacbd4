package keep

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// TestWhatIsDueAboutSecretsIsTheSameHoweverOftenOneLooks has secrets of two groups, their pasts and what is told of them come and go.
func TestWhatIsDueAboutSecretsIsTheSameHoweverOftenOneLooks(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	rapid.Check(t, func(r *rapid.T) {
		s := storetest.Store(t, member, nil)
		kinds, often := decoded.NewKinds(), sealDues{}
		keys := map[string]int64{"readers": 1, "others": 1}
		look := func(d *sealDues) (all map[string]map[plan.SealDue]map[string]bool) {
			v := s.View()
			all = map[string]map[plan.SealDue]map[string]bool{}
			for group, epoch := range keys {
				g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: group}, Status: v1alpha1.RecipientGroupStatus{Epoch: epoch}}
				d.bring(v, kinds, decoded.Object[v1alpha1.RecipientGroup]{Value: g})
				if d.view != nil {
					r.Fatal("it keeps a view of the log")
				}
			}
			for group := range keys {
				all[group] = maps.Collect(d.about(group))
			}
			return all
		}
		group := rapid.SampledFrom([]string{"readers", "others"})
		for index := range rapid.IntRange(1, 40).Draw(r, "writes") {
			uid, generation := rapid.SampledFrom([]string{"u", "w"}).Draw(r, "uid"), rapid.Int64Range(1, 2).Draw(r, "generation")
			secret := rapid.SampledFrom([]string{"db", "db-u", "web"}).Draw(r, "secret")
			bundle := v1alpha1.RolledOut{Kind: "FleetSecret", Name: secret}.String()
			revision := v1alpha1.RevisionName(bundle, uid, generation)
			var key string
			var value any
			switch rapid.IntRange(0, 4).Draw(r, "what") {
			case 0, 1:
				key = v1alpha1.KeyBundleRevisions + revision
				value = map[string]any{"spec": map[string]any{"bundle": bundle, "bundleUID": uid, "generation": generation, "manifests": []any{map[string]any{"spec": map[string]any{"group": group.Draw(r, "group")}}}}}
			case 2:
				key = v1alpha1.KeySealings + revision
				told := v1alpha1.Sealing{Group: group.Draw(r, "told group"), Epoch: rapid.Int64Range(1, 3).Draw(r, "epoch"), By: rapid.SampledFrom([]string{"fra", "iad"}).Draw(r, "by"), Found: 1}
				told.Witness = rapid.SampledFrom([]string{"", "ams"}).Draw(r, "witness")
				told.Since = []map[string]int64{{group.Draw(r, "since"): 1}}
				value = told
			case 3:
				key = v1alpha1.KeyPasts + v1alpha1.ChangeName("fleetsecrets", secret, uid, uint64(generation))
				value = v1alpha1.FleetSecret{Spec: v1alpha1.FleetSecretSpec{Group: group.Draw(r, "past group")}}
			case 4:
				keys[group.Draw(r, "rotated")]++
				continue
			}
			op, err := law.Put(key, value)
			if err != nil {
				r.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(r, "deleted") == 0 {
				op = store.Delete(key)
			}
			entry, err := store.EncodeEntry([]store.Command{{Proposer: member.ID, Txn: &store.Txn{Then: []store.Op{op}}}})
			if err != nil {
				r.Fatal(err)
			}
			if _, err := s.Apply(uint64(index)+10, 1, entry); err != nil {
				r.Fatal(err)
			}
			if rapid.Bool().Draw(r, "looks") {
				look(&often)
			}
		}
		once := sealDues{}
		if diff := cmp.Diff(look(&once), look(&often)); diff != "" {
			r.Fatalf("who looks once finds another thing than who looks often:\n%s", diff)
		}
		for name, at := range often.placed {
			if !often.due[at.group][at.SealDue][name] {
				r.Fatal(fmt.Sprintf("%s is not where it is placed", name))
			}
		}
	})
}
