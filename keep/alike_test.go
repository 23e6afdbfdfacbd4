package keep

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/secrets"
)

// edited is a group that has had 70 keys and keeps the last alone, and a secret that was sealed to the first of them: its revision 1 was sealed again
// to the present one, and revision 2, of which nothing was told yet, is an edit.
type edited struct {
	fra     Holder
	values  map[string]any
	present secrets.Identity
}

const firstRevision, editedRevision = "secret.db-u-1", "secret.db-u-2"

func editedLater(t *testing.T, edit func(*v1alpha1.FleetSecret)) edited {
	t.Helper()
	fra := keyHolder(t, "fra")
	values := sealedValues(t, fra, func(s *v1alpha1.FleetSecret) { s.UID, s.Generation = "u", 1 })
	g := values[v1alpha1.KeyRecipientGroups+"readers"].(*v1alpha1.RecipientGroup)
	first, err := fra.groupKey(g)
	if err != nil {
		t.Fatal(err)
	}
	present, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	g.Status.Epoch, g.Status.Recipient = 70, present.Recipient().String()
	g.Status.Wraps[0].Epoch = 70
	if g.Status.Wraps[0].Wrap, err = secrets.Wrap(fra.Age.Recipient(), fra.keyOf(g, 70), present); err != nil {
		t.Fatal(err)
	}
	s := values[v1alpha1.KeyFleetSecrets+"db"].(*v1alpha1.FleetSecret)
	again, err := secrets.Again(first, present.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, s.Spec.Data)
	if err != nil {
		t.Fatal(err)
	}
	values[v1alpha1.KeySealings+firstRevision] = v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "iad", Confirmed: "fra", Witness: "fra", Since: []map[string]int64{{"readers": 1}}, Data: again}
	s.Generation = 2
	edit(s)
	form := s.DeepCopy()
	form.Namespace, form.Name = s.Target().Namespace, s.Target().Name
	revise := func(name string, generation int, form any) {
		values[v1alpha1.KeyBundleRevisions+name] = map[string]any{"spec": map[string]any{"bundle": "secret.db", "bundleUID": "u", "generation": generation, "manifests": []any{form}}}
	}
	before := values[v1alpha1.KeyBundleRevisions+firstRevision].(map[string]any)["spec"].(map[string]any)["manifests"].([]any)[0]
	revise(firstRevision, 1, before)
	revise(editedRevision, 2, form)
	values[v1alpha1.GrantKey("fra", "secret.db")] = v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", Revision: editedRevision}
	return edited{fra, values, present}
}

func (e edited) view(t *testing.T) *store.View {
	t.Helper()
	return viewOf(t, e.values)
}

// holder is a go of a cluster that holds the group's key.
func (e edited) holder(t *testing.T, cluster string) (s *sealing, of v1alpha1.FleetSecret) {
	t.Helper()
	v, k := e.view(t), keeperOf(Holder{Fleet: e.fra.Fleet, Cluster: cluster, Age: e.fra.Age})
	groups, _ := k.config.Kinds.Groups.Readable(v)
	sealings, _ := k.config.Kinds.Sealings.Readable(v)
	revisions, _ := k.config.Kinds.Revisions.Readable(v)
	s = newSealing(k, groups[0], v, sealings)
	s.generations(revisions)
	s.ring = &keyring{holder: k.Holder, group: groups[0].Value, keys: map[int64]secrets.Identity{70: e.present}}
	s.rings["readers"] = s.ring
	of, err := sealedIn(v, editedRevision)
	if err != nil {
		t.Fatal(err)
	}
	return s, of
}

func (e edited) opens(t *testing.T) string {
	t.Helper()
	return opens(t, NewOpening(e.fra, decoded.NewKinds()), e.view(t), editedRevision).fault
}

func TestAnEditOfAnotherFieldOpensThoughTheFirstKeyIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*v1alpha1.FleetSecret)
		opens bool
		since []map[string]int64
	}{
		"adopt":          {func(s *v1alpha1.FleetSecret) { s.Spec.Adopt = v1alpha1.AdoptAlways }, true, []map[string]int64{{"readers": 1}}},
		"immutable":      {func(s *v1alpha1.FleetSecret) { s.Spec.Immutable = false }, true, []map[string]int64{{"readers": 1}}},
		"notSecret":      {func(s *v1alpha1.FleetSecret) { s.Spec.NotSecret = []string{"password"} }, true, []map[string]int64{{"readers": 1}}},
		"another Secret": {func(s *v1alpha1.FleetSecret) { s.Spec.SecretName = "other" }, false, nil},
		"other bytes":    {func(s *v1alpha1.FleetSecret) { s.Spec.Data = slices.Concat(s.Spec.Data, []byte("\n")) }, false, nil},
		"another group":  {func(s *v1alpha1.FleetSecret) { s.Spec.Group = "others" }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := editedLater(t, c.edit)
			if fault := e.opens(t); (fault == "") != c.opens {
				t.Fatalf("it says %q", fault)
			}
			iad, of := e.holder(t, "iad")
			told, err := iad.again(editedRevision, nil, of)
			if err != nil || (len(told.Data) > 0) != c.opens || told.Was != nil || !cmp.Equal(told.Since, c.since) {
				t.Fatalf("a holder writes %+v: %v", told, err)
			}
			if !c.opens {
				return
			}
			fra, _ := e.holder(t, "fra")
			confirmed, err := fra.confirmed(editedRevision, told, of)
			if err != nil || confirmed.Confirmed != "fra" || confirmed.Witness != "fra" || confirmed.Found != 1 {
				t.Fatalf("another one writes %+v: %v", confirmed, err)
			}
			// With that of its own it needs the earlier revision no more.
			e.values[v1alpha1.KeySealings+editedRevision] = confirmed
			e.goes(t, true)
			if fault := e.opens(t); fault != "" {
				t.Errorf("it says %q without the earlier revision", fault)
			}
		})
	}
}

// goes deletes the earlier revision, with what is known of how it is sealed, if it may go.
func (e edited) goes(t *testing.T, want bool) {
	t.Helper()
	v := e.view(t)
	if needed := law.OnlySource(v, firstRevision, func(string) bool { return true }); (needed == "") != want {
		t.Errorf("what was sealed again of the earlier revision alone opens %q", needed)
	}
	if want {
		delete(e.values, v1alpha1.KeyBundleRevisions+firstRevision)
		delete(e.values, v1alpha1.KeySealings+firstRevision)
	}
}

func TestARevisionStaysAsLongAsWhatWasSealedAgainOfItOpensAnother(t *testing.T) {
	e := editedLater(t, func(s *v1alpha1.FleetSecret) { s.Spec.Adopt = v1alpha1.AdoptAlways })
	e.goes(t, false)
	iad, of := e.holder(t, "iad")
	told, err := iad.again(editedRevision, nil, of)
	if err != nil {
		t.Fatal(err)
	}
	e.values[v1alpha1.KeySealings+editedRevision] = told
	e.goes(t, false)
	delete(e.values, v1alpha1.KeyBundleRevisions+editedRevision) // written, and nothing made of it yet
	delete(e.values, v1alpha1.KeySealings+editedRevision)
	e.goes(t, false)
	delete(e.values, v1alpha1.KeyFleetSecrets+"db")
	e.goes(t, true)
}

// A holder that is bad seals something else again of the edit, or tells of it what is not so: what is confirmed of the earlier revision opens it
// meanwhile, and the next holder writes it anew.
func TestWhatIsSealedAgainOfAnEditIsComparedWithTheEarlier(t *testing.T) {
	for name, lie := range map[string]func(*testing.T, edited, *v1alpha1.Sealing){
		"junk": func(_ *testing.T, _ edited, s *v1alpha1.Sealing) { s.Data = []byte("junk") },
		"something else": func(t *testing.T, e edited, s *v1alpha1.Sealing) {
			var err error
			if s.Data, err = secrets.Seal(e.present.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, data("password", "other")); err != nil {
				t.Fatal(err)
			}
		},
		"of another key":      func(_ *testing.T, _ edited, s *v1alpha1.Sealing) { s.Found = 69 },
		"that none opens it":  func(_ *testing.T, _ edited, s *v1alpha1.Sealing) { s.Found, s.Data, s.Since = 0, nil, nil },
		"known since shortly": func(_ *testing.T, _ edited, s *v1alpha1.Sealing) { s.Since = []map[string]int64{{"readers": 70}} },
		"of the present key":  func(_ *testing.T, _ edited, s *v1alpha1.Sealing) { s.Found, s.Data = 70, nil },
	} {
		t.Run(name, func(t *testing.T) {
			e := editedLater(t, func(s *v1alpha1.FleetSecret) { s.Spec.Adopt = v1alpha1.AdoptAlways })
			iad, of := e.holder(t, "iad")
			told, err := iad.again(editedRevision, nil, of)
			if err != nil {
				t.Fatal(err)
			}
			lie(t, e, &told)
			e.values[v1alpha1.KeySealings+editedRevision] = told
			const third = "secret.db-u-3" // of which it says the same
			e.values[v1alpha1.KeyBundleRevisions+third], e.values[v1alpha1.KeySealings+third] = e.values[v1alpha1.KeyBundleRevisions+editedRevision], told
			if fault := e.opens(t); fault != "" {
				t.Errorf("it says %q meanwhile", fault)
			}
			fra, _ := e.holder(t, "fra")
			next, err := fra.confirmed(editedRevision, told, of)
			if err != nil || next.Instead != "iad" || next.Found != 1 || !cmp.Equal(next.Since, []map[string]int64{{"readers": 1}}) || next.Was != nil || !cmp.Equal(next.Words, []v1alpha1.SealedWord{{By: "iad", Epoch: 70, Data: told.Data, None: told.Found == 0}}) {
				t.Fatalf("it becomes %+v: %v", next, err)
			}
			if got, err := secrets.Open(e.present, targetOf(&of), next.Data); err != nil || string(got["password"]) != "canary-4711" {
				t.Errorf("it has %d values: %v", len(got), err)
			}
		})
	}
}

func TestARecoveryKeyIsToldWhatWasSealedAgainOfTheEarlierRevision(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*v1alpha1.FleetSecret)
		told bool
	}{
		"another field": {func(s *v1alpha1.FleetSecret) { s.Spec.Adopt = v1alpha1.AdoptAlways }, true},
		"other bytes":   {func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("other") }, false},
	} {
		for _, revision := range []string{"there", "to come"} {
			e := editedLater(t, c.edit)
			if revision == "to come" {
				delete(e.values, v1alpha1.KeyBundleRevisions+editedRevision)
			}
			got := SealingsOf(e.view(t), e.values[v1alpha1.KeyFleetSecrets+"db"].(*v1alpha1.FleetSecret))
			if (len(got) == 1) != c.told {
				t.Errorf("%s, its revision is %s: %+v", name, revision, got)
			}
			if c.told && (len(got) != 1 || got[0].Epoch != 70 || len(got[0].Data) == 0) {
				t.Errorf("%s, its revision is %s: it is told as %+v", name, revision, got)
			}
		}
	}
}
