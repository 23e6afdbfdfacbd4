package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
)

// Between the leader's look and its write somebody writes: a revision that alone opens another by then stays, and those of other secrets and of bundles go.
func TestARevisionThatIsNeededMeanwhileStays(t *testing.T) {
	const first, second = "secret.db-u-1", "secret.db-u-2"
	own := v1alpha1.KeySealings + second
	again := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "iad", Confirmed: "fra", Witness: "fra", Data: []byte("again")}
	made := v1alpha1.FleetSecret{Spec: v1alpha1.FleetSecretSpec{Group: "readers", Data: []byte("sealed")}}
	made.Name, made.Namespace = "db", "shop"
	revision := map[string]any{"spec": map[string]any{"bundle": "secret.db", "manifests": []any{made}}}
	for name, c := range map[string]struct {
		then store.Op
		goes bool
	}{
		"nothing":                   {store.Put("/nothing", nil), true},
		"another secret":            {store.Put(v1alpha1.KeyFleetSecrets+"others", []byte("{}")), true},
		"what the other has goes":   {store.Delete(own), false},
		"the secret is written":     {store.Put(v1alpha1.KeyFleetSecrets+"db", []byte("{}")), false},
		"the group has another key": {store.Put(v1alpha1.KeyRecipientGroups+"readers", []byte("{}")), false},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]any{
				v1alpha1.KeyBundleRevisions + first: revision, v1alpha1.KeyBundleRevisions + second: revision, v1alpha1.KeySealings + first: again, own: again,
				v1alpha1.KeyFleetSecrets + "db":         v1alpha1.FleetSecret{},
				v1alpha1.KeyRecipientGroups + "readers": v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: 70, Former: []v1alpha1.FormerKey{{Epoch: 6}}}},
			}
			unneeded := []string{first, "shop-b-1"}
			for i := range revisionsAtOnce { // of a secret that is written all the time, and does not hold up others
				unneeded = append(unneeded, fmt.Sprintf("secret.a-u-%02d", i))
			}
			for _, revision := range unneeded[1:] {
				values[v1alpha1.KeyBundleRevisions+revision] = map[string]any{}
			}
			s := storetest.Store(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
			writes, others := forgets(s.View(), unneeded)
			writes = append(writes, store.Txn{Then: others})
			storetest.Apply(t, s, 2, storetest.Entry(t, "m", c.then, store.Put(v1alpha1.KeySealings+"secret.a-u-15", []byte("{}"))))
			for i, w := range writes {
				entry, err := store.EncodeEntry([]store.Command{{Proposer: "m", Txn: &w}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Apply(uint64(i+3), 1, entry); err != nil { // that one is overtaken is no error of the store
					t.Fatal(err)
				}
			}
			for revision, want := range map[string]bool{first: c.goes, "shop-b-1": true, "secret.a-u-15": false} {
				if _, there := s.View().Get(v1alpha1.KeyBundleRevisions + revision); there == want {
					t.Errorf("%s is there: %v", revision, there)
				}
			}
		})
	}
}

// Two revisions have the same bytes, sealed to a key that is gone, and nobody confirmed what was sealed again of either.
func TestRevisionsThatGoTogetherHoldOneAnotherNot(t *testing.T) {
	g := &v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup")}
	g.Name, g.Status.Epoch, g.Status.Former = "readers", 70, []v1alpha1.FormerKey{{Epoch: 6}}
	form := v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret")}
	form.Name, form.Namespace, form.Spec.Group, form.Spec.Data = "db", "shop", "readers", []byte("sealed")
	first, second := "secret.db-u-1", "secret.db-u-2"
	values := map[string]any{v1alpha1.KeyRecipientGroups + "readers": g}
	for _, name := range []string{first, second} {
		values[v1alpha1.KeyBundleRevisions+name] = map[string]any{"spec": map[string]any{"bundle": "secret.db", "bundleUID": "u", "manifests": []any{form}}}
		values[v1alpha1.KeySealings+name] = v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "fra", Data: []byte("again")}
	}
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
	for name, c := range map[string]struct{ surplus, goes []string }{
		"one, and the other stays": {[]string{first}, nil},
		"both, as of one deleted":  {[]string{first, second}, []string{first, second}},
	} {
		var gone []string
		writes, _ := forgets(v, c.surplus)
		for _, op := range writes[0].Then {
			if name, is := strings.CutPrefix(op.Key, v1alpha1.KeyBundleRevisions); is {
				gone = append(gone, name)
			}
		}
		if !slices.Equal(gone, c.goes) {
			t.Errorf("%s: there go %v", name, gone)
		}
	}
}
