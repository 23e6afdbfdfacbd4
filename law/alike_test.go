package law

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// writes writes a generation of the secret db, and makes its revision.
func (r *realm) writes(generation int64, change func(*v1alpha1.FleetSecret)) {
	r.Helper()
	s := secret("db")
	s.Generation = generation
	change(s)
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", s))...); err != nil {
		r.Fatal(err)
	}
}

func TestRevisionsWithTheSameBytesAreAlike(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.FleetSecret)
		alike  bool
	}{
		"nothing":       {func(*v1alpha1.FleetSecret) {}, true},
		"another field": {func(s *v1alpha1.FleetSecret) { s.Spec.Adopt = v1alpha1.AdoptAlways }, true},
		"the data":      {func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("other") }, false},
		"the group":     {func(s *v1alpha1.FleetSecret) { s.Spec.Group = "empty" }, false},
		"the namespace": {func(s *v1alpha1.FleetSecret) { s.Spec.Namespace = "crm" }, false},
		"the Secret":    {func(s *v1alpha1.FleetSecret) { s.Spec.SecretName = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			r.writes(1, func(*v1alpha1.FleetSecret) {})
			r.writes(2, c.change)
			other := secret("login") // as a manifest of another secret, whose name begins so
			other.Namespace = "shop"
			r.says(r.put(v1alpha1.KeyBundleRevisions+"secret.db-u-db-u-1", map[string]any{"spec": map[string]any{"bundle": "secret.db-u", "manifests": []any{other}}}))
			r.writes(3, func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("third") }) // which makes the revision of 2
			first, second := "secret.db-u-db-1", "secret.db-u-db-2"
			want := []string(nil)
			if c.alike {
				want = []string{second}
			}
			v := r.store.View()
			if got := SealedAlike(v, first); !slices.Equal(got, want) {
				t.Errorf("to the first: %v", got)
			}
			now := secret("db")
			c.change(now)
			want = []string{second}
			if c.alike {
				want = []string{first, second}
			}
			if got := SealedAlikeNow(v, now); !slices.Equal(got, want) {
				t.Errorf("to the secret: %v", got)
			}
		})
	}
	if got := SealedAlike(newRealm(t).store.View(), "secret.none-u-1"); got != nil {
		t.Errorf("to none: %v", got)
	}
}

// Revision 1 of db was sealed to key 1, revision 2 has the same bytes, and the group keeps no key before a later one.
func TestWhatAloneOpensARevisionStays(t *testing.T) {
	again := &v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "fra", Confirmed: "iad", Witness: "iad", Data: []byte("again")}
	with := func(change func(*v1alpha1.Sealing)) *v1alpha1.Sealing { s := *again; change(&s); return &s }
	for name, c := range map[string]struct {
		oldest        int64
		first, second *v1alpha1.Sealing
		change        func(*v1alpha1.FleetSecret)
		stays         string
	}{
		"nothing is told of the other":          {6, again, nil, nil, "bundle revision secret.db-u-db-2"},
		"that no key opens it":                  {6, again, &v1alpha1.Sealing{Group: "readers", Epoch: 70, By: "fra", Witness: "iad"}, nil, "bundle revision secret.db-u-db-2"},
		"nobody confirmed it":                   {6, again, with(func(s *v1alpha1.Sealing) { s.Confirmed = "" }), nil, "bundle revision secret.db-u-db-2"},
		"it has its own":                        {6, again, again, nil, ""},
		"the group keeps the key":               {1, again, nil, nil, ""},
		"nothing was sealed again of the first": {6, with(func(s *v1alpha1.Sealing) { s.Found, s.Data = 0, nil }), nil, nil, ""},
		"nothing is told of the first":          {6, nil, nil, nil, ""},
		"the other has other bytes":             {6, again, nil, func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("other") }, ""},
	} {
		for _, use := range []string{"granted", "in no use"} {
			r := keyed(t)
			r.writes(1, func(*v1alpha1.FleetSecret) {})
			r.writes(2, func(s *v1alpha1.FleetSecret) {
				if c.change != nil {
					c.change(s)
				}
			})
			r.writes(3, func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("third") })
			r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) {
				g.Status.Epoch, g.Status.Former = 70, []v1alpha1.FormerKey{{Epoch: c.oldest}}
			}))
			for revision, told := range map[string]*v1alpha1.Sealing{"secret.db-u-db-1": c.first, "secret.db-u-db-2": c.second} {
				if told != nil {
					r.says(r.put(v1alpha1.KeySealings+revision, told))
				}
			}
			if use == "granted" {
				r.says(r.put(v1alpha1.GrantKey("fra", "secret.db"), v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u-db", Revision: "secret.db-u-db-2"}))
			}
			v := r.store.View()
			if got := OnlySource(v, "secret.db-u-db-1", all); got != c.stays {
				t.Errorf("%s: it is needed by %q", name, got)
			}
			if got := OnlySource(v, "secret.db-u-db-1", none); got != "" {
				t.Errorf("%s: it is needed by %q, which nobody needs", name, got)
			}
			pasts := v.List(v1alpha1.KeyPasts + "fleetsecrets")
			_, ops, err := Companions(v, Change{Key: pasts[0].Key, Before: pasts[0].Value, Who: Who{Person: "anna", Through: "fra"}})
			forbidden, stays := (*store.Forbidden)(nil), c.stays != "" && use == "granted"
			switch {
			case !stays && err != nil:
				t.Errorf("%s, the other is %s: its past is not struck off: %v", name, use, err)
			case !stays && !slices.ContainsFunc(ops, func(op store.Op) bool { return op.Delete && op.Key == v1alpha1.KeyBundleRevisions+"secret.db-u-db-1" }):
				t.Errorf("%s, the other is %s: with its past go %v", name, use, ops)
			case stays && (!errors.As(err, &forbidden) || !strings.Contains(forbidden.Reason, "alone opens "+c.stays)):
				t.Errorf("%s, the other is %s: its past is struck off: %v", name, use, err)
			}
		}
	}
}

// Of a secret that was deleted no revision holds another: who strikes off what it was waits for nobody.
func TestAValueOfADeletedSecretIsStruckOff(t *testing.T) {
	r := keyed(t)
	again := &v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "fra", Data: []byte("again")}
	for generation := range int64(2) {
		r.writes(generation+1, func(s *v1alpha1.FleetSecret) { s.Spec.Immutable = generation > 0 })
		r.says(r.put(v1alpha1.KeySealings+v1alpha1.RevisionName("secret.db", "u-db", generation+1), again))
	}
	r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) {
		g.Status.Epoch, g.Status.Former = 70, []v1alpha1.FormerKey{{Epoch: 6}}
	}))
	if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(v1alpha1.KeyFleetSecrets+"db"))...); err != nil {
		t.Fatal(err)
	}
	for _, past := range r.store.View().List(v1alpha1.KeyPasts + "fleetsecrets") {
		if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(past.Key))...); err != nil {
			t.Error(err)
		}
	}
	if left := r.store.View().List(v1alpha1.KeySealings); len(left) > 0 {
		t.Errorf("there is left %v", left)
	}
}

// The secret itself needs it, too, before it has a revision.
func TestWhatAloneOpensTheSecretStays(t *testing.T) {
	r := keyed(t)
	r.writes(1, func(*v1alpha1.FleetSecret) {})
	r.writes(2, func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("other") })
	r.says(r.put(v1alpha1.KeySealings+"secret.db-u-db-1", v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "fra", Confirmed: "iad", Witness: "iad", Data: []byte("again")}))
	r.says(r.group("readers", func(g *v1alpha1.RecipientGroup) {
		g.Status.Epoch, g.Status.Former = 70, []v1alpha1.FormerKey{{Epoch: 6}}
	}))
	for generation, needs := range map[int64]string{3: "", 4: "secret db"} {
		s := secret("db")
		if s.Generation = generation; needs == "" {
			s.Spec.Data = []byte("third")
		}
		r.says(r.put(v1alpha1.KeyFleetSecrets+"db", s))
		if got := OnlySource(r.store.View(), "secret.db-u-db-1", none); got != needs {
			t.Errorf("generation %d: it is needed by %q", generation, got)
		}
	}
}

// Somebody writes between the leader's look and its write: what turns its judgement keeps it from writing, and what has nothing to do with it does not.
func TestWhatOnlySourceGoesByIsACondition(t *testing.T) {
	again := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "fra", Confirmed: "iad", Witness: "iad", Data: []byte("again")}
	first, second := v1alpha1.KeySealings+"secret.db-u-db-1", v1alpha1.KeySealings+"secret.db-u-db-2"
	told := func(change func(*v1alpha1.Sealing)) v1alpha1.Sealing { s := again; change(&s); return s }
	oldest := func(r *realm, epoch int64) store.Op {
		return r.group("readers", func(g *v1alpha1.RecipientGroup) {
			g.Status.Epoch, g.Status.Former = 70, []v1alpha1.FormerKey{{Epoch: epoch}}
		})
	}
	for name, c := range map[string]struct {
		before func(*realm) []store.Op // the look
		then   func(*realm) []store.Op
		holds  bool
	}{
		"the secret has the same values again": {nil, func(r *realm) []store.Op {
			s := secret("db")
			s.Generation = 4
			return []store.Op{r.put(v1alpha1.KeyFleetSecrets+"db", s)}
		}, false},
		"another one is made of the same values": {nil, func(r *realm) []store.Op {
			kv, _ := r.store.View().Get(v1alpha1.KeyBundleRevisions + "secret.db-u-db-2")
			return []store.Op{store.Put(v1alpha1.KeyBundleRevisions+"secret.db-u-db-9", kv.Value)}
		}, false},
		"what the other has of its own goes": {nil, func(*realm) []store.Op { return []store.Op{store.Delete(second)} }, false},
		"it is doubted": {nil, func(r *realm) []store.Op {
			return []store.Op{r.put(second, told(func(s *v1alpha1.Sealing) { s.Confirmed = "" }))}
		}, false},
		"the group drops the key": {func(r *realm) []store.Op { return []store.Op{oldest(r, 1), store.Delete(second)} },
			func(r *realm) []store.Op { return []store.Op{oldest(r, 6)} }, false},
		"something is sealed again of it": {func(*realm) []store.Op { return []store.Op{store.Delete(first), store.Delete(second)} },
			func(r *realm) []store.Op { return []store.Op{r.put(first, again)} }, false},
		"another secret is written": {nil, func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyFleetSecrets+"others", secret("others")), r.put(v1alpha1.KeySealings+"secret.others-u-1", again),
				r.put(v1alpha1.KeyBundleRevisions+"secret.others-u-1", map[string]any{})}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyed(t)
			r.writes(1, func(*v1alpha1.FleetSecret) {})
			r.writes(2, func(s *v1alpha1.FleetSecret) { s.Spec.Adopt = v1alpha1.AdoptAlways })
			r.writes(3, func(s *v1alpha1.FleetSecret) { s.Spec.Data = []byte("third") })
			r.says(oldest(r, 6), r.put(first, again), r.put(second, again))
			if c.before != nil {
				r.says(c.before(r)...)
			}
			v := r.store.View()
			if got := OnlySource(v, "secret.db-u-db-1", all); got != "" {
				t.Fatalf("at first it is needed by %q", got)
			}
			r.says(c.then(r)...)
			if needs := OnlySource(r.store.View(), "secret.db-u-db-1", all); (needs == "") != c.holds {
				t.Fatalf("then it is needed by %q", needs)
			}
			seq := r.index + 1
			err := r.write(store.Command{ID: store.CommandID{Incarnation: "id-fra", Seq: seq}, Proposer: "id-fra", Term: term, Epoch: r.store.View().Epoch().ID, Time: time.Unix(int64(seq), 0).UnixNano(),
				Txn: &store.Txn{If: OnlySourceSeen(v, "secret.db-u-db-1"), Then: []store.Op{store.Delete(first)}}}).Err
			conflict := (*store.Conflict)(nil)
			if c.holds != (err == nil) || !c.holds && !errors.As(err, &conflict) {
				t.Errorf("the write: %v", err)
			}
		})
	}
}

func all(string) bool  { return true }
func none(string) bool { return false }
