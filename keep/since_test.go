package keep

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// form is a value of the secret db, as it was sealed.
type form struct {
	epoch int64 // of the key that it is sealed to; 0: of none
	data  map[string][]byte
	uid   string // "u" if empty; of another one the history alone has it
	group string // readers if empty
	but   []string
	of    string // the Secret that it is sealed for, "db" if empty; of another one no cluster makes any
}

func (f form) sealed(t *testing.T, generation int, keys map[int64]secrets.Identity) *v1alpha1.FleetSecret {
	t.Helper()
	s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop", UID: types.UID(f.uid), Generation: int64(generation)}}
	s.Spec = v1alpha1.FleetSecretSpec{Group: f.group, Namespace: "shop", NotSecret: f.but}
	var err error
	target := secrets.Target{Namespace: "shop", Name: orDefault(f.of, "db")}
	if s.Spec.Data, err = secrets.Seal(keys[f.epoch].Recipient(), target, f.data); err != nil {
		t.Fatal(err)
	}
	return s
}

// forms are a go at a secret that had these forms, one generation after the other. What is of another UID was deleted.
func forms(t *testing.T, all []form) (s *sealing, last string, of v1alpha1.FleetSecret) {
	t.Helper()
	holder := keyHolder(t, "fra")
	keys := map[int64]secrets.Identity{}
	for epoch := range int64(4) {
		var err error
		if keys[epoch], err = secrets.NewIdentity(); err != nil {
			t.Fatal(err)
		}
	}
	g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	g.Status = v1alpha1.RecipientGroupStatus{Recipient: keys[3].Recipient().String(), Epoch: 3, Former: []v1alpha1.FormerKey{{Epoch: 1}, {Epoch: 2}}}
	values := map[string]any{v1alpha1.KeyRecipientGroups + "readers": g}
	var revisions []decoded.Object[v1alpha1.SealedRevision]
	for i, f := range all {
		f.uid, f.group = orDefault(f.uid, "u"), orDefault(f.group, "readers")
		sealed := f.sealed(t, i+1, keys)
		if f.uid != "u" {
			values[v1alpha1.KeyPasts+v1alpha1.ChangeName("fleetsecrets", "db", f.uid, uint64(i))] = sealed
			continue
		}
		manifest, err := json.Marshal(sealed)
		if err != nil {
			t.Fatal(err)
		}
		last, of = v1alpha1.RevisionName("secret.db", "u", int64(i+1)), *sealed
		value := fmt.Sprintf(`{"spec": {"bundle": "secret.db", "bundleUID": "u", "generation": %d, "manifests": [%s]}}`, i+1, manifest)
		r := &v1alpha1.SealedRevision{}
		if err := json.Unmarshal([]byte(value), r); err != nil {
			t.Fatal(err)
		}
		values[v1alpha1.KeyBundleRevisions+last] = json.RawMessage(value)
		revisions = append(revisions, decoded.Object[v1alpha1.SealedRevision]{Key: v1alpha1.KeyBundleRevisions + last, Value: r})
	}
	v := viewOf(t, values)
	s = newSealing(keeperOf(holder), decoded.Object[v1alpha1.RecipientGroup]{Value: g}, v, nil)
	s.ring = &keyring{holder: holder, group: g, keys: map[int64]secrets.Identity{1: keys[1], 2: keys[2], 3: keys[3]}}
	other := g.DeepCopy()
	other.Name = "others"
	s.rings["readers"], s.rings["others"] = s.ring, &keyring{holder: holder, group: other, keys: s.ring.keys}
	for _, f := range all {
		if s.rings[orDefault(f.group, "readers")] == nil {
			s.rings[f.group] = s.rings["others"]
		}
	}
	for _, name := range s.generations(revisions) {
		at, err := sealedIn(v, name)
		if err != nil {
			t.Fatal(err)
		}
		next, err := s.again(name, nil, at)
		if err != nil {
			t.Fatal(err)
		}
		s.known[name] = &next
	}
	return s, last, of
}

// sinceOf is what a holder tells of the values of a revision that a key of the group opens.
func sinceOf(t *testing.T, s *sealing, revision string, of v1alpha1.FleetSecret) []map[string]int64 {
	t.Helper()
	marks, err := s.marks(of, s.believed(revision, s.known[revision]))
	if err != nil {
		t.Fatal(err)
	}
	return s.since(revision, of, marks, false)
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func data(values ...string) map[string][]byte {
	all := map[string][]byte{}
	for i := 0; i < len(values); i += 2 {
		all[values[i]] = []byte(values[i+1])
	}
	return all
}

// groups are forms of the same values, each for another group, that were deleted.
func groups(n int, data map[string][]byte) (all []form) {
	for i := range n {
		name := fmt.Sprint("group-", i)
		all = append(all, form{epoch: 3, data: data, group: name, uid: "gone-" + name})
	}
	return all
}

func TestSinceWhichKeyAValueHasBeenTheSame(t *testing.T) {
	one := func(epochs ...int64) (since []map[string]int64) {
		for _, epoch := range epochs {
			since = append(since, map[string]int64{"readers": epoch})
		}
		return since
	}
	many := map[string][]byte{}
	for i := range v1alpha1.MaxSince + 1 {
		many[fmt.Sprint(i)] = []byte(fmt.Sprint("same-", i))
	}
	a, b := data("password", "a"), data("password", "b")
	for name, c := range map[string]struct {
		forms []form
		want  []map[string]int64
	}{
		"the first":                             {[]form{{epoch: 2, data: a}}, one(2)},
		"another value":                         {[]form{{epoch: 1, data: a}, {epoch: 3, data: b}}, one(3)},
		"the same, sealed anew":                 {[]form{{epoch: 1, data: a}, {epoch: 3, data: a}}, one(1)},
		"and again":                             {[]form{{epoch: 1, data: a}, {epoch: 2, data: a}, {epoch: 3, data: a}}, one(1)},
		"put back after another":                {[]form{{epoch: 1, data: a}, {epoch: 2, data: b}, {epoch: 3, data: a}}, one(1)},
		"sealed to a former key":                {[]form{{epoch: 2, data: a}, {epoch: 1, data: b}}, one(1)},
		"one of two":                            {[]form{{epoch: 1, data: data("password", "a", "user", "u")}, {epoch: 3, data: data("password", "b", "user", "u")}}, one(3, 1)},
		"both, in two steps":                    {[]form{{epoch: 1, data: data("k", "a", "l", "b")}, {epoch: 2, data: data("k", "c", "l", "b")}, {epoch: 3, data: data("k", "c", "l", "d")}}, one(2, 3)},
		"one more":                              {[]form{{epoch: 1, data: a}, {epoch: 3, data: data("password", "a", "also", "b")}}, one(3, 1)},
		"under another name":                    {[]form{{epoch: 1, data: a}, {epoch: 3, data: data("pw", "a")}}, one(1)},
		"one that is no secret":                 {[]form{{epoch: 1, data: data("password", "a", "user", "u")}, {epoch: 3, data: data("password", "b", "user", "u"), but: []string{"user"}}}, one(3)},
		"nothing that is a secret":              {[]form{{epoch: 1, data: a}, {epoch: 2, data: a, but: []string{"password"}}}, one(2)},
		"one that was no secret before":         {[]form{{epoch: 1, data: a, but: []string{"password"}}, {epoch: 3, data: a}}, one(1)},
		"one of two that was none":              {[]form{{epoch: 2, data: data("password", "a", "user", "u"), but: []string{"user"}}, {epoch: 3, data: data("password", "a", "user", "u")}}, one(2, 1)},
		"one that was none when it was deleted": {[]form{{epoch: 2, data: a, uid: "gone", but: []string{"password"}}, {epoch: 3, data: a}}, one(2)},
		"another than was no secret":            {[]form{{epoch: 1, data: a, but: []string{"password"}}, {epoch: 3, data: b}}, one(3)},
		"of more groups than can be told":       {append(groups(v1alpha1.MaxSinceGroups, a), form{epoch: 3, data: a}), nil},
		"of as many groups as can be told":      {append(groups(v1alpha1.MaxSinceGroups, b), form{epoch: 3, data: a}), one(3)},
		"what no key opens":                     {[]form{{epoch: 1, data: a}, {epoch: 0, data: b}}, nil},
		"after what no key opens":               {[]form{{epoch: 0, data: a}, {epoch: 3, data: a}}, one(3)},
		"as it was sealed for another Secret":   {[]form{{epoch: 2, data: a, of: "other"}, {epoch: 3, data: a}}, one(plan.EverKnown)},
		"of one that was deleted":               {[]form{{epoch: 2, data: a, uid: "gone"}, {epoch: 3, data: a}}, one(2)},
		"another than of one that was deleted":  {[]form{{epoch: 2, data: a, uid: "gone"}, {epoch: 3, data: b}}, one(3)},
		"as it was sealed for another group":    {[]form{{epoch: 2, data: a, group: "others"}, {epoch: 3, data: a}}, []map[string]int64{{"readers": 3, "others": 2}}},
		"another than for another group":        {[]form{{epoch: 2, data: a, group: "others"}, {epoch: 3, data: b}}, one(3)},
		"too many to be told one by one":        {[]form{{epoch: 1, data: data("k", "same-7")}, {epoch: 3, data: many}}, one(1)},
		"too many, and none that was there":     {[]form{{epoch: 1, data: a}, {epoch: 3, data: many}}, one(3)},
		"one of too many that were told at one": {[]form{{epoch: 2, data: many}, {epoch: 3, data: data("k", "same-7", "l", "b")}}, one(2, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			s, last, of := forms(t, c.forms)
			told := s.known[last]
			if diff := cmp.Diff(c.want, told.Since); diff != "" {
				t.Fatal(diff)
			}
			if err := s.witnessed(last, of, told); err != nil {
				t.Errorf("it is not witnessed: %v", err)
			}
			for i, by := range told.Since {
				later := *told
				later.Since = append([]map[string]int64{}, told.Since...)
				later.Since[i] = map[string]int64{"readers": by["readers"] + 1}
				if err := s.witnessed(last, of, &later); !errors.Is(err, errOtherwise) {
					t.Errorf("that value %d is newer than it is was witnessed: %v", i, err)
				}
				later.Since[i] = map[string]int64{"readers": 1, "others": 1}
				if err := s.witnessed(last, of, &later); err != nil {
					t.Errorf("that more people know it is not witnessed: %v", err)
				}
			}
			other := *told
			other.Found = (told.Found + 1) % 4
			if err := s.witnessed(last, of, &other); !errors.Is(err, errOtherwise) {
				t.Errorf("that it is sealed to another key was witnessed: %v", err)
			}
		})
	}
}

// What is sealed to a key that the group keeps no more cannot be told from what is sealed to none: who left with that key may know it.
func TestAValueOfAKeyThatIsGoneMayBeTheSame(t *testing.T) {
	a := data("password", "a")
	s, last, of := forms(t, []form{{epoch: 0, data: a}, {epoch: 3, data: a}})
	s.group.Value.Status.Former = []v1alpha1.FormerKey{{Epoch: 2}}
	delete(s.ring.keys, 1)
	s.opened = map[string]openedBefore{}
	if diff := cmp.Diff([]map[string]int64{{"readers": plan.EverKnown}}, sinceOf(t, s, last, of)); diff != "" {
		t.Error(diff)
	}
}

// Who confirms what was told of a secret that was for another group before need not be of that group.
func TestAWitnessNeedNotBeOfTheFormerGroup(t *testing.T) {
	for _, value := range []string{"a", "b"} {
		s, last, of := forms(t, []form{{epoch: 2, data: data("password", "a"), group: "others"}, {epoch: 3, data: data("password", value)}})
		told := s.known[last]
		delete(s.rings, "others")
		s.opened = map[string]openedBefore{}
		if err := s.witnessed(last, of, told); err != nil {
			t.Errorf("value %s: %v", value, err)
		}
	}
}

// A secret that is made again for another group than one of its name was for is told of though its group has had one key only.
func TestSinceASecretIsMadeAgainItWasMoved(t *testing.T) {
	a := data("password", "a")
	for name, c := range map[string]struct {
		forms []form
		want  bool
	}{
		"the first":                             {[]form{{epoch: 3, data: a}}, false},
		"the second":                            {[]form{{epoch: 3, data: a}, {epoch: 3, data: a}}, false},
		"for another group":                     {[]form{{epoch: 3, data: a, group: "others"}, {epoch: 3, data: a}}, true},
		"made again for its group":              {[]form{{epoch: 3, data: a, uid: "gone"}, {epoch: 3, data: a}}, false},
		"made again for another group":          {[]form{{epoch: 3, data: a, group: "others", uid: "gone"}, {epoch: 3, data: a}}, true},
		"another one, of a longer name, is not": {[]form{{epoch: 3, data: a, group: "others", uid: "eu.gone"}, {epoch: 3, data: a}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if s, last, _ := forms(t, c.forms); s.moved(last) != c.want {
				t.Errorf("moved: %v", !c.want)
			}
		})
	}
}

// The revision for the other group is kept no more, and what was told of one behind it is.
func TestAMoveIsRememberedByWhatWasToldOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		last  string
		moved bool
		since []map[string]int64
	}{
		"the same value": {"a", true, []map[string]int64{{"others": 2, "readers": 3}}},
		"another one":    {"b", true, []map[string]int64{{"readers": 3}}},
	} {
		s, last, of := forms(t, []form{{epoch: 2, data: data("password", "a"), group: "others"}, {epoch: 3, data: data("password", "a")}, {epoch: 3, data: data("password", c.last)}})
		first := v1alpha1.RevisionName("secret.db", "u", 1)
		s.of["secret.db"] = slices.DeleteFunc(s.of["secret.db"], func(name string) bool { return name == first })
		delete(s.revisions, first)
		delete(s.known, first)
		if s.moved(last) != c.moved {
			t.Errorf("%s: moved: %v", name, !c.moved)
		}
		if since := sinceOf(t, s, last, of); !cmp.Equal(since, c.since) {
			t.Errorf("%s: %v", name, since)
		}
	}
}

// Another holder told of revision 1 that its value is as new as key 3, and nobody confirmed it: who tells of revision 2, which has the same value, works it out
// anew.
func TestWhatOneToldOfAnEarlierFormIsNotBelieved(t *testing.T) {
	a := data("password", "a")
	for name, c := range map[string]struct {
		by, witness string
		want        int64
	}{
		"nobody confirmed it":  {"iad", "", 1},
		"another confirmed it": {"iad", "lon", 3},
		"it is its own word":   {"fra", "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			s, last, of := forms(t, []form{{epoch: 1, data: a}, {epoch: 3, data: a}})
			first := v1alpha1.RevisionName("secret.db", "u", 1)
			told := *s.known[first]
			told.By, told.Witness, told.Since = c.by, c.witness, []map[string]int64{{"readers": 3}}
			s.known[first], s.opened = &told, map[string]openedBefore{}
			want := []map[string]int64{{"readers": c.want}}
			if next, err := s.again(last, nil, of); err != nil || !cmp.Equal(next.Since, want) {
				t.Errorf("it tells %v: %v", next.Since, err)
			}
			lie := v1alpha1.Sealing{Group: "readers", Found: 3, Epoch: 3, By: "iad", Since: []map[string]int64{{"readers": 3}}}
			if err := s.witnessed(last, of, &lie); errors.Is(err, errOtherwise) != (c.want == 1) {
				t.Errorf("that it is as new is witnessed: %v", err)
			}
		})
	}
}

// A secret was deleted and made again, twice, and its revisions are all there yet: each is told of by those that the log got before it, whatever they are called,
// also when one alone told of all of them.
func TestOfSecretsMadeAgainTheLaterOneIsNoEarlierForm(t *testing.T) {
	l := begin(t, 0, "fra", "lon")
	l.rotate()
	member := store.Member{ID: "id-fra", Cluster: "fra", Pin: store.Pin{1}}
	for _, uids := range [][]string{{"a", "b"}, {"b", "a"}, {"c", "a", "b"}} {
		l.names, l.values = nil, map[string]any{v1alpha1.KeyRecipientGroups + "readers": l.values[v1alpha1.KeyRecipientGroups+"readers"]}
		log := storetest.Store(t, member, l.values)
		for i, uid := range uids {
			l.uid, l.last.Generation = uid, int64(len(uids)-i)
			l.seal()
			name := l.names[i]
			revision, err := json.Marshal(l.values[v1alpha1.KeyBundleRevisions+name])
			if err != nil {
				t.Fatal(err)
			}
			told, err := json.Marshal(v1alpha1.Sealing{Group: "readers", Found: 2, Epoch: 2, By: "lon", Since: []map[string]int64{{"readers": 2}}})
			if err != nil {
				t.Fatal(err)
			}
			storetest.Apply(t, log, uint64(10+i), storetest.Entry(t, member.ID, store.Put(v1alpha1.KeyBundleRevisions+name, revision), store.Put(v1alpha1.KeySealings+name, told)))
		}
		s := l.goesIn("fra", log.View())
		for i, name := range l.names {
			var before []string
			for _, was := range s.before(name, "") {
				before = append(before, strings.TrimPrefix(was.at, v1alpha1.KeyBundleRevisions))
			}
			slices.SortFunc(before, s.order)
			if !slices.Equal(before, l.names[:i]) {
				t.Errorf("of %v before %s: %v", l.names, name, before)
			}
			of, err := sealedIn(s.view, name)
			if err != nil {
				t.Fatal(err)
			}
			next, err := s.confirmed(name, *s.known[name], of)
			if err != nil || next.Witness != "fra" {
				t.Errorf("of %v, %s: it tells %+v: %v", l.names, name, next, err)
			}
		}
	}
}

// The key of revision 1 is gone, and what was sealed again of it, by one alone, has another value: who tells of revision 2, which has the value that it had, does
// not take that for what it had, nor what it sealed itself, which may be a copy of that.
func TestNoWordOfOneSaysWhatAnEarlierFormHad(t *testing.T) {
	for name, c := range map[string]struct {
		by, confirmed string
		value         string
		want          int64
	}{
		"another's word":        {"iad", "", "b", 1},
		"its own":               {"fra", "", "b", 1},
		"another's, and so":     {"iad", "", "a", 1},
		"what two agreed on":    {"iad", "lon", "b", 3},
		"and that they told of": {"iad", "lon", "a", 2},
	} {
		s, last, of := forms(t, []form{{epoch: 1, data: data("password", "a")}, {epoch: 3, data: data("password", "a")}})
		first := v1alpha1.RevisionName("secret.db", "u", 1)
		told := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 3, By: c.by, Confirmed: c.confirmed, Witness: c.confirmed}
		if c.confirmed != "" {
			told.Since = []map[string]int64{{"readers": 2}}
		}
		var err error
		if told.Data, err = secrets.Seal(s.ring.keys[3].Recipient(), targetOf(&of), data("password", c.value)); err != nil {
			t.Fatal(err)
		}
		s.group.Value.Status.Former = []v1alpha1.FormerKey{{Epoch: 2}}
		delete(s.ring.keys, 1)
		s.known[first], s.opened = &told, map[string]openedBefore{}
		if since := sinceOf(t, s, last, of); !cmp.Equal(since, []map[string]int64{{"readers": c.want}}) {
			t.Errorf("%s: it has been the same since %v", name, since)
		}
	}
}
