package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
)

// life of the secret name, from when it was made.
type life struct {
	name, uid, group string
	made             int64
}

func (l life) secret() *v1alpha1.FleetSecret {
	s := &v1alpha1.FleetSecret{ObjectMeta: metav1.ObjectMeta{Name: l.name, UID: types.UID(l.uid), CreationTimestamp: metav1.Unix(l.made, 0)}}
	s.Spec.Group = l.group
	return s
}

func TestLedgerHasWhatWasDeletedOnceAsItWasFirst(t *testing.T) {
	for name, c := range map[string]struct {
		were, are []life
		want      []string
	}{
		"once":                           {[]life{{"db", "u", "readers", 10}}, nil, []string{"db readers 10"}},
		"twice, the earlier by its UID":  {[]life{{"db", "u", "readers", 10}, {"db", "v", "readers", 20}}, nil, []string{"db readers 10"}},
		"twice, the later by its UID":    {[]life{{"db", "u", "readers", 20}, {"db", "v", "readers", 10}}, nil, []string{"db readers 10"}},
		"for two groups":                 {[]life{{"db", "u", "readers", 20}, {"db", "v", "others", 10}}, nil, []string{"db readers 20", "db others 10"}},
		"of a name with points":          {[]life{{"db.eu.1", "u", "readers", 10}}, []life{{"db", "v", "readers", 10}}, []string{"db.eu.1 readers 10"}},
		"made again for another group":   {[]life{{"db", "u", "readers", 10}, {"db", "v", "others", 10}}, []life{{"db", "v", "others", 20}}, []string{"db readers 10"}},
		"not what is there":              {[]life{{"db", "u", "readers", 10}}, []life{{"db", "u", "readers", 10}}, nil},
		"not what is there with a point": {[]life{{"db.eu", "u", "readers", 10}}, []life{{"db.eu", "u", "readers", 10}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]any{}
			for i, l := range c.were {
				values[v1alpha1.KeyPasts+v1alpha1.ChangeName("fleetsecrets", l.name, l.uid, uint64(i))] = l.secret()
			}
			var present []*v1alpha1.FleetSecret
			for _, l := range c.are {
				present = append(present, l.secret())
			}
			var got []string
			for _, s := range deletedSecrets(storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values), present) {
				got = append(got, fmt.Sprint(s.Name, " ", s.Spec.Group, " ", s.CreationTimestamp.Unix()))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLedgerIsCountedOnceARevisionAndWhatItCannotReadIsAWorry(t *testing.T) {
	left := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	left.Spec.ClusterSelector = &metav1.LabelSelector{}
	left.Status = v1alpha1.RecipientGroupStatus{Epoch: 2, Former: []v1alpha1.FormerKey{{Epoch: 1}}, Left: []v1alpha1.FormerReader{{Cluster: "iad", Key: "k", Epoch: 1}}}
	db := life{"db", "u", "readers", 0}.secret()
	db.Generation = 1
	manifest, err := json.Marshal(db)
	if err != nil {
		t.Fatal(err)
	}
	revision := json.RawMessage(fmt.Sprintf(`{"spec": {"bundle": "secret.db", "bundleUID": "u", "generation": 1, "manifests": [%s]}}`, manifest))
	values := map[string]any{
		v1alpha1.KeyRecipientGroups + "readers": left, v1alpha1.KeyFleetSecrets + "db": db,
		v1alpha1.KeyBundleRevisions + v1alpha1.RevisionName("secret.db", "u", 1): revision,
	}
	member := store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}
	c, s := keyHolder(t, "fra"), storetest.Store(t, member, values)
	open, worry := c.openExposures(s.View())
	if open == nil || open.Lines != 1 || worry != "" {
		t.Fatalf("%+v, %q", open, worry)
	}
	if again, _ := c.openExposures(s.View()); again != open {
		t.Error("it was counted again, of the same revision")
	}
	left.Spec.ClusterSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}}
	bad, err := json.Marshal(left)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := store.EncodeEntry([]store.Command{{Proposer: "m", Txn: &store.Txn{Then: []store.Op{store.Put(v1alpha1.KeyRecipientGroups+"readers", bad)}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(2, 1, entry); err != nil {
		t.Fatal(err)
	}
	if open, worry = c.openExposures(s.View()); open != nil || !strings.Contains(worry, "readers") {
		t.Errorf("of a group that nobody can read: %+v, %q", open, worry)
	}
}

// The log has what is left of a group, or of a cluster, for a moment after that has gone.
func TestLedgerHasNothingOfWhatIsLeftOfTheGone(t *testing.T) {
	readers := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	readers.Spec.ClusterSelector = &metav1.LabelSelector{}
	readers.Status = v1alpha1.RecipientGroupStatus{Epoch: 2, Former: []v1alpha1.FormerKey{{Epoch: 1}}, Left: []v1alpha1.FormerReader{{Cluster: "sin", Key: "k", Epoch: 1}}}
	is := life{"db", "u", "readers", 0}.secret()
	is.Generation = 3
	revision := func(generation int, group string) json.RawMessage {
		manifest, err := json.Marshal(life{"db", "u", group, 0}.secret())
		if err != nil {
			t.Fatal(err)
		}
		return json.RawMessage(fmt.Sprintf(`{"spec": {"bundle": "secret.db", "bundleUID": "u", "generation": %d, "manifests": [%s]}}`, generation, manifest))
	}
	told := func(group string, epoch int64) v1alpha1.Sealing {
		return v1alpha1.Sealing{Group: group, Found: epoch, Epoch: 2, Witness: "iad", Since: []map[string]int64{{group: epoch}}}
	}
	for name, c := range map[string]struct {
		keeps string // the cluster that keeps what it was first
		left  map[string]any
		want  v1alpha1.ExposureState
	}{
		"of a group":   {"fra", map[string]any{v1alpha1.KeySealings + "secret.db-u-1": told("gone", 1)}, v1alpha1.ExposureOpen},
		"of a cluster": {"", map[string]any{v1alpha1.GrantKey("gone", "secret.db"): v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", Revision: "secret.db-u-1"}}, v1alpha1.ExposureChanged},
	} {
		values := map[string]any{
			v1alpha1.KeyClusters + "fra": v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra"}}, v1alpha1.KeyRecipientGroups + "readers": readers, v1alpha1.KeyFleetSecrets + "db": is,
			v1alpha1.KeyBundleRevisions + "secret.db-u-1": revision(1, "gone"), v1alpha1.KeyBundleRevisions + "secret.db-u-2": revision(2, "readers"),
			v1alpha1.KeyBundleRevisions + "secret.db-u-3": revision(3, "readers"), v1alpha1.KeySealings + "secret.db-u-2": told("readers", 1),
			v1alpha1.KeySealings + "secret.db-u-3": told("readers", 2),
		}
		if c.keeps != "" {
			values[v1alpha1.GrantKey(c.keeps, "secret.db")] = v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", Revision: "secret.db-u-1"}
		}
		for _, what := range []string{"cleared", "left"} {
			l, err := keyHolder(t, "fra").Ledger(storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values))
			if err != nil {
				t.Fatal(err)
			}
			if e := l.Exposed("sin"); len(e.Items) != 1 || e.Items[0].State != c.want {
				t.Errorf("%s, %s: %+v", name, what, e)
			}
			maps.Copy(values, c.left)
		}
	}
}
