package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/law"
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
			slices.Sort(unneeded)
			beside, others, looked := forgets(s.View(), unneeded, "")
			sealed, _, _ := forgets(s.View(), unneeded, looked)
			writes := []store.Txn{beside, sealed, {Then: others}}
			storetest.Apply(t, s, 2, storetest.Entry(t, "m", c.then, store.Put(v1alpha1.KeySealings+"secret.a-u-31", []byte("{}"))))
			for i, w := range writes {
				entry, err := store.EncodeEntry([]store.Command{{Proposer: "m", Txn: &w}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Apply(uint64(i+3), 1, entry); err != nil { // that one is overtaken is no error of the store
					t.Fatal(err)
				}
			}
			for revision, want := range map[string]bool{first: c.goes, "shop-b-1": true, "secret.a-u-31": false} {
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
		write, _, _ := forgets(v, c.surplus, "")
		for _, op := range write.Then {
			if name, is := strings.CutPrefix(op.Key, v1alpha1.KeyBundleRevisions); is {
				gone = append(gone, name)
			}
		}
		if !slices.Equal(gone, c.goes) {
			t.Errorf("%s: there go %v", name, gone)
		}
	}
}

// alikes are values of a store: of each of some secrets so many revisions that nobody needs, all with the same bytes, and with what was sealed again of each.
func alikes(secrets []string, each int) (values map[string]any, unneeded []string) {
	values = map[string]any{v1alpha1.KeyRecipientGroups + "readers": v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: 70, Former: []v1alpha1.FormerKey{{Epoch: 6}}}}}
	for _, name := range secrets {
		made := v1alpha1.FleetSecret{Spec: v1alpha1.FleetSecretSpec{Group: "readers", Data: []byte("sealed")}}
		made.Name, made.Namespace = name, "shop"
		values[v1alpha1.KeyFleetSecrets+name] = made
		for i := range each {
			revision := fmt.Sprintf("secret.%s-u-%03d", name, i)
			unneeded = append(unneeded, revision)
			values[v1alpha1.KeyBundleRevisions+revision] = map[string]any{"spec": map[string]any{"bundle": "secret." + name, "manifests": []any{made}}}
			values[v1alpha1.KeySealings+revision] = v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 70, By: "iad", Confirmed: "fra", Witness: "fra", Data: []byte("again")}
		}
	}
	slices.Sort(unneeded)
	return values, unneeded
}

// A template, or labels, of a secret are edited hundreds of times while nothing is collected; or hundreds of secrets are deleted.
func TestHoweverManyRevisionsNobodyNeedsAWriteOfThemIsSmall(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("%s-%03d", strings.Repeat("d", 200), i))
	}
	for name, c := range map[string]struct {
		secrets []string
		each    int
	}{"of one secret": {many[:1], 300}, "of many": {many, 2}} {
		t.Run(name, func(t *testing.T) {
			values, unneeded := alikes(c.secrets, c.each)
			s := storetest.Store(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
			looked := ""
			for pass := range (len(unneeded) + revisionsAtOnce - 1) / revisionsAtOnce {
				var w store.Txn
				w, _, looked = forgets(s.View(), unneeded, looked)
				command := store.Command{ID: store.CommandID{Incarnation: "m", Seq: uint64(pass + 1)}, Proposer: "m", Txn: &w}
				if size, err := command.Size(); err != nil || size > bytesAtOnce || len(w.Then) > 2*revisionsAtOnce {
					t.Errorf("%d conditions and %d ops in %d bytes: %v", len(w.If), len(w.Then), size, err)
				}
				seen := map[store.Condition]bool{}
				for _, condition := range w.If {
					if seen[condition] {
						t.Fatalf("twice: %s", condition)
					}
					seen[condition] = true
				}
				entry, err := store.EncodeEntry([]store.Command{command})
				if err != nil {
					t.Fatal(err)
				}
				if results, err := s.Apply(uint64(pass+2), 1, entry); err != nil || results[0].Err != nil {
					t.Fatalf("pass %d: %v, %v", pass, results, err)
				}
				unneeded = slices.DeleteFunc(unneeded, func(name string) bool { return !s.View().Has(v1alpha1.KeyBundleRevisions + name) })
			}
			if n := s.View().Count(v1alpha1.KeyBundleRevisions) + s.View().Count(v1alpha1.KeySealings); n > 0 {
				t.Errorf("%d are left", n)
			}
		})
	}
}

// More revisions than a pass looks at stay, as nothing is sealed again of one with the same bytes. Others go.
func TestRevisionsThatStayKeepNoneWaiting(t *testing.T) {
	values, unneeded := alikes([]string{"a", "b"}, revisionsAtOnce+1)
	delete(values, v1alpha1.KeySealings+unneeded[0]) // which is needed
	unneeded = unneeded[1:]
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
	goes, looked := map[string]bool{}, ""
	for range 3 {
		var w store.Txn
		w, _, looked = forgets(v, unneeded, looked)
		for _, op := range w.Then {
			goes[op.Key] = true
		}
	}
	for _, name := range unneeded {
		stays := strings.HasPrefix(name, "secret.a-")
		if goes[v1alpha1.KeyBundleRevisions+name] == stays {
			t.Errorf("%s goes: %v", name, !stays)
		}
	}
}

func TestTurnsGoRound(t *testing.T) {
	names := []string{"b", "d", "f"}
	for _, c := range []struct {
		after string
		most  int
		want  string
	}{{"", 2, "b d"}, {"b", 1, "d"}, {"c", 2, "d f"}, {"d", 2, "f b"}, {"f", 2, "b d"}, {"g", 1, "b"}, {"b", 9, "d f b"}} {
		if got := strings.Join(turn(names, c.after, c.most), " "); got != c.want {
			t.Errorf("%d after %q: %s, want %s", c.most, c.after, got, c.want)
		}
	}
	if got := turn(nil, "b", 2); len(got) > 0 {
		t.Errorf("of none: %v", got)
	}
}

// Whatever comes of the secrets' write, the rest is proposed, and the errors of both are told.
func TestASecretKeepsNothingElseFromBeingCollected(t *testing.T) {
	refused, also := errors.New("refused"), errors.New("also refused")
	secrets := store.Txn{If: []store.Condition{store.KeyAbsent("/x")}, Then: []store.Op{store.Delete(v1alpha1.KeyBundleRevisions + "secret.db-u-1")}}
	others := []store.Op{store.Delete(v1alpha1.KeyBundleRevisions + "shop-u-1")}
	for name, c := range map[string]struct {
		collection
		errs  []error // of the proposals, in order; nil for those that are written
		count int
	}{
		"nothing":            {collection{}, nil, 0},
		"no secrets":         {collection{others: others}, []error{nil}, 1},
		"no others":          {collection{secrets: secrets}, []error{nil}, 1},
		"secrets refused":    {collection{secrets: secrets, others: others}, []error{refused, nil}, 2},
		"both refused":       {collection{secrets: secrets, others: others}, []error{refused, also}, 2},
		"secrets overtaken":  {collection{secrets: secrets, others: others}, []error{&store.Conflict{}, nil}, 2},
		"written altogether": {collection{secrets: secrets, others: others}, []error{nil, nil}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			proposed := 0
			err := c.delete(func(store.Txn) (store.Revision, error) {
				proposed++
				switch of := c.errs[proposed-1]; {
				case errors.As(of, new(*store.Conflict)):
					return 0, nil
				case of != nil:
					return 0, of
				}
				return 1, nil
			})
			if proposed != c.count {
				t.Errorf("%d proposals, not %d", proposed, c.count)
			}
			for _, one := range []error{refused, also} {
				if errors.Is(err, one) != slices.Contains(c.errs, one) {
					t.Errorf("of %v it tells %v", c.errs, err)
				}
			}
		})
	}
}

// What takes several writes goes in one pass, though each deletes rollouts and holds while there are the same. What somebody else writes ends it.
func TestACollectionIsOvertakenByOthersAlone(t *testing.T) {
	for name, c := range map[string]struct {
		then store.Op // after the first write
		ends bool
	}{
		"nobody writes":             {store.Op{}, false},
		"somebody writes a token":   {store.Put(law.KeyTokens+"t", []byte("{}")), false},
		"somebody writes a rollout": {store.Put(v1alpha1.KeyRollouts+"shop-new", []byte("{}")), true},
		"somebody writes a grant":   {store.Put(v1alpha1.GrantKey("iad", "shop"), []byte("{}")), true},
	} {
		t.Run(name, func(t *testing.T) {
			values, others := map[string]any{}, []store.Op(nil)
			for i := range 3000 {
				key := fmt.Sprintf("%sshop-%04d", v1alpha1.KeyRollouts, i)
				values[key], others = map[string]any{}, append(others, store.Delete(key))
			}
			s := storetest.Store(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
			written, index := 0, uint64(1)
			apply := func(txn store.Txn) store.Result {
				index++
				entry, err := store.EncodeEntry([]store.Command{{Proposer: "m", Txn: &txn}})
				if err != nil {
					t.Fatal(err)
				}
				results, err := s.Apply(index, 1, entry)
				if err != nil {
					t.Fatal(err)
				}
				return results[0]
			}
			err := collection{seen: s.View().Revision(), others: others}.delete(func(txn store.Txn) (store.Revision, error) {
				result := apply(txn)
				if errors.As(result.Err, new(*store.Conflict)) {
					return 0, nil
				}
				if written++; written == 1 && c.then.Key != "" {
					apply(store.Txn{Then: []store.Op{c.then}})
				}
				return result.Revision, result.Err
			})
			if err != nil {
				t.Fatal(err)
			}
			left := 0
			for _, op := range others {
				if s.View().Has(op.Key) {
					left++
				}
			}
			if (left > 0) != c.ends || (written == 1) != c.ends {
				t.Errorf("%d are left after %d writes", left, written)
			}
		})
	}
}
