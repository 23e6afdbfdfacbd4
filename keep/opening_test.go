package keep

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/keep/keeptest"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// keyHolder is a member of a cluster, with an age identity of its own.
func keyHolder(t testing.TB, cluster string) Holder {
	t.Helper()
	id, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return Holder{Fleet: keeptest.Fleet, Cluster: cluster, Age: id}
}

// keeperOf is a Keeper without a log.
func keeperOf(h Holder) *Keeper {
	return New(Config{Holder: h, Kinds: decoded.NewKinds(), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
}

// sealedState is a state in which the secret db is sealed for the group readers, of which only one member has the key.
func sealedState(t testing.TB, reader Holder, change func(*v1alpha1.FleetSecret)) *store.View {
	t.Helper()
	return viewOf(t, sealedValues(t, reader, change))
}

func sealedValues(t testing.TB, reader Holder, change func(*v1alpha1.FleetSecret)) map[string]any {
	t.Helper()
	return keeptest.Sealed(t, reader.Cluster, reader.Age.Recipient(), change)
}

func viewOf(t testing.TB, values map[string]any) *store.View {
	t.Helper()
	return storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
}

// outcome is what opening a revision comes to.
type outcome struct {
	objects []unstructured.Unstructured
	group   string
	fault   string
}

// opens has a member open a revision of a view.
func opens(t testing.TB, o *Opening, v *store.View, revision string) outcome {
	t.Helper()
	kv, _ := v.Get(v1alpha1.KeyBundleRevisions + revision)
	var r struct {
		Spec struct {
			Manifests []map[string]any `json:"manifests"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		t.Fatal(err)
	}
	var objects []unstructured.Unstructured
	for _, manifest := range r.Spec.Manifests {
		objects = append(objects, unstructured.Unstructured{Object: manifest})
	}
	o.Begin(v)
	opened, group, err := o.Open(v, revision, objects)
	if err != nil {
		return outcome{opened, group, err.Error()}
	}
	return outcome{opened, group, ""}
}

// openedBy is what the secret db comes to for a member.
func openedBy(t testing.TB, h Holder, v *store.View) outcome {
	t.Helper()
	return opens(t, NewOpening(h, decoded.NewKinds()), v, "secret.db-u-1")
}

// The keys of a group are in memory for as long as it stays as it is, and no longer.
func TestTheKeysOfAGroupAreInMemoryWhileItIsTheSame(t *testing.T) {
	fra := keyHolder(t, "fra")
	s := storetest.Store(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, sealedValues(t, fra, func(*v1alpha1.FleetSecret) {}))
	o := NewOpening(fra, decoded.NewKinds())
	write := func(index uint64, key string, value any) {
		t.Helper()
		op, err := law.Put(key, value)
		if err != nil {
			t.Fatal(err)
		}
		storetest.Apply(t, s, index, storetest.Entry(t, "m", op))
	}
	if got := opens(t, o, s.View(), "secret.db-u-1"); got.fault != "" || got.group != "readers" || !o.Holds("readers") {
		t.Fatalf("it says %q of what is sealed for group %q", got.fault, got.group)
	}
	ring := o.rings["readers"]
	if ring == nil {
		t.Fatal("the keys are not kept")
	}
	write(2, v1alpha1.KeyFleetSecrets+"api", v1alpha1.FleetSecret{})
	write(3, v1alpha1.KeyRecipientGroups+"others", "junk")
	if got := opens(t, o, s.View(), "secret.db-u-1"); got.fault != "" || o.rings["readers"] != ring {
		t.Errorf("it is not opened with the keys that are there: %q", got.fault)
	}
	g, err := decoded.GroupAt(s.View(), "readers")
	if err != nil {
		t.Fatal(err)
	}
	g.Status.Wraps = nil
	write(4, v1alpha1.KeyRecipientGroups+"readers", g)
	if o.Begin(s.View()); len(o.rings) > 0 || o.Holds("readers") {
		t.Errorf("without a wrap of its own it has %d rings", len(o.rings))
	}
	if got := opens(t, o, s.View(), "secret.db-u-1"); len(got.objects) > 0 || !strings.Contains(got.fault, "cluster fra has no key") {
		t.Errorf("without a wrap of its own it has %d objects, and says %q", len(got.objects), got.fault)
	}
}

func TestAGroupThatCannotBeReadIsAMatterOfWhatIsSealedForItAlone(t *testing.T) {
	for group, why := range map[string]string{"readers": "", "others": "recipient group others cannot be read", "gone": "group gone, which is not there"} {
		fra := keyHolder(t, "fra")
		values := sealedValues(t, fra, func(s *v1alpha1.FleetSecret) { s.Spec.Group = group })
		values[v1alpha1.KeyRecipientGroups+"others"] = "junk"
		g := openedBy(t, fra, viewOf(t, values))
		if (g.fault == "") != (why == "") || !strings.Contains(g.fault, why) {
			t.Errorf("sealed for %s, it says %q", group, g.fault)
		}
	}
}

// A member outside of the group is given all that there is in the log, and its own key.
func TestAMemberOutsideOfTheGroupOpensNothing(t *testing.T) {
	fra, sin := keyHolder(t, "fra"), keyHolder(t, "sin")
	v := sealedState(t, fra, func(*v1alpha1.FleetSecret) {})
	g := openedBy(t, sin, v)
	if !strings.Contains(g.fault, "cluster sin has no key of group readers") || len(g.objects) > 0 {
		t.Errorf("it has %d objects, and says %q", len(g.objects), g.fault)
	}
	// Nor with the wrap of another one, or under its name.
	sin.Cluster = "fra"
	group, err := decoded.GroupAt(v, "readers")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sin.groupKey(group); err == nil {
		t.Error("under another's name it has the key")
	}
	if _, err := secrets.Unwrap(sin.Age, sin.keyOf(group, 1), group.Status.Recipient, group.Status.Wraps[0].Wrap); err == nil {
		t.Error("it unwraps what is wrapped for another")
	}
	for kv := range v.Iterate("/", "") {
		if strings.Contains(string(kv.Value), "canary") || strings.Contains(string(kv.Value), "Y2FuYXJ5") {
			t.Errorf("%s has the value", kv.Key)
		}
	}
}

func TestWhatCannotBeOpenedIsAFaultThatTellsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.FleetSecret)
		why    string
	}{
		"moved to another namespace":            {func(s *v1alpha1.FleetSecret) { s.Namespace = "mine" }, "it is not of mine/db"},
		"moved to another name":                 {func(s *v1alpha1.FleetSecret) { s.Name = "api" }, "it is not of shop/api"},
		"for a group that is gone":              {func(s *v1alpha1.FleetSecret) { s.Spec.Group = "gone" }, "group gone, which is not there"},
		"for a Secret that is not named inside": {func(s *v1alpha1.FleetSecret) { s.Spec.Also = []v1alpha1.FurtherSecret{{Namespace: "mine", Name: "db"}} }, "Secret mine/db: what is sealed does not name it"},
		"a value that it may not use": {func(s *v1alpha1.FleetSecret) {
			s.Spec.Also = []v1alpha1.FurtherSecret{{Namespace: "web", Name: "db", Template: map[string]string{"a": "${user}"}}}
		}, `Secret web/db: template of key a: there is no value "user" that may be used here`},
		"a template that is none": {func(s *v1alpha1.FleetSecret) { s.Spec.Template = map[string]string{"a": "${password"} }, "Secret shop/db: template of key a: a ${ has no }"},
		"cut":                     {func(s *v1alpha1.FleetSecret) { s.Spec.Data = s.Spec.Data[:len(s.Spec.Data)-9] }, "damaged"},
		"for another key": {func(s *v1alpha1.FleetSecret) {
			other, err := secrets.NewIdentity()
			if err == nil {
				s.Spec.Data, err = secrets.Seal(other.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("canary-4711")})
			}
			if err != nil {
				panic(err)
			}
		}, "sealed to no recipient that group readers has or had; seal it again"},
	} {
		t.Run(name, func(t *testing.T) {
			fra := keyHolder(t, "fra")
			g := openedBy(t, fra, sealedState(t, fra, c.change))
			if !strings.Contains(g.fault, c.why) || strings.Contains(g.fault, "canary") || len(g.objects) > 0 {
				t.Errorf("it has %d objects, and says %q", len(g.objects), g.fault)
			}
		})
	}
}

// What is sealed to a former key is opened with it, until it is sealed again, and whether that was done well or not.
func TestWhatIsSealedToAFormerKeyIsOpened(t *testing.T) {
	fra := keyHolder(t, "fra")
	old := sealedState(t, fra, func(*v1alpha1.FleetSecret) {})
	g, err := decoded.GroupAt(old, "readers")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealedIn(old, "secret.db-u-1")
	if err != nil {
		t.Fatal(err)
	}
	k := keeperOf(fra)
	for range 2 {
		duty := plan.KeyDuty{Make: true, Why: "asked for", Wrap: []plan.KeyReader{{Cluster: "fra", Recipient: fra.recipient()}}}
		key, err := k.keyFor(g, duty, metav1.Time{})
		if err != nil {
			t.Fatal(err)
		}
		wrap, err := secrets.Wrap(fra.Age.Recipient(), fra.keyOf(g, g.Status.Epoch), key)
		if err != nil {
			t.Fatal(err)
		}
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: "fra", Key: v1alpha1.KeyID(duty.Wrap[0].Recipient), Epoch: g.Status.Epoch, Wrap: wrap})
	}
	ring, err := fra.keyring(g)
	if err != nil {
		t.Fatal(err)
	}
	s := newSealing(k, decoded.Object[v1alpha1.RecipientGroup]{Value: g}, old, nil)
	s.ring, s.rings["readers"] = ring, ring
	s.revisions["secret.db-u-1"] = &v1alpha1.SealedRevision{}
	record, err := s.again("secret.db-u-1", nil, sealed)
	if err != nil || record.Found != 1 || record.Epoch != 3 || !record.Again() {
		t.Fatalf("it is sealed to %d, again to %d: %v", record.Found, record.Epoch, err)
	}
	opens := func(again *v1alpha1.Sealing) error {
		ring, err := fra.keyring(g)
		if err != nil {
			return err
		}
		secret, err := ring.openSecret(&sealed, v1alpha1.BelievedBy("fra", again))
		if err == nil && !cmp.Equal(secret[0].Object["data"], map[string]any{"password": "Y2FuYXJ5LTQ3MTE="}) {
			return errors.New("it holds something else")
		}
		return err
	}
	bad := record
	bad.Data = record.Data[:len(record.Data)-9]
	for name, again := range map[string]*v1alpha1.Sealing{"as it was": nil, "sealed again": &record, "sealed again badly": &bad} {
		if err := opens(again); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	confirmed, err := s.confirmed("secret.db-u-1", record, sealed)
	if err != nil || confirmed.Confirmed != "fra" {
		t.Errorf("another does not confirm it: %v", err)
	}
	other := record
	if other.Data, err = secrets.Seal(ring.keys[3].Recipient(), targetOf(&sealed), map[string][]byte{"password": []byte("other")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.confirmed("secret.db-u-1", other, sealed); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("what holds something else is confirmed: %v", err)
	}

	// Of a key that is long gone, what was sealed again serves; without that nothing is opened, and told so.
	g.Status = law.Proven(g.Status)
	g.Status.Former = g.Status.Former[1:]
	if s.ring, err = fra.keyring(g); err != nil {
		t.Fatal(err)
	}
	s.rings["readers"] = s.ring
	for name, again := range map[string]*v1alpha1.Sealing{"confirmed": &confirmed, "not yet": &record, "badly, and well before": {Found: 1, Epoch: 4, Data: bad.Data, Was: &v1alpha1.SealedBefore{Epoch: 3, Data: confirmed.Data}}} {
		if err := opens(again); err != nil {
			t.Errorf("sealed again, %s: %v", name, err)
		}
	}
	if next, err := s.again("secret.db-u-1", &confirmed, sealed); err != nil || next.Found != 1 || len(next.Data) == 0 || next.Was == nil {
		t.Errorf("it is sealed again from what was sealed again to %d bytes: %v", len(next.Data), err)
	}
	if none, err := s.again("secret.db-u-1", nil, sealed); err != nil || none.Found != 0 || len(none.Data) > 0 {
		t.Errorf("it is sealed to %d, and %d bytes were sealed again: %v", none.Found, len(none.Data), err)
	}
	if err := opens(nil); err == nil || !strings.Contains(err.Error(), "has or had; seal it again") {
		t.Errorf("it is opened: %v", err)
	}
}

// A key that is not passed on well, or not at all, proves nothing, and the wraps of the one before still open what was sealed to that.
func TestAKeyThatIsNotPassedOnWellProvesNothing(t *testing.T) {
	junk, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(fra Holder, g *v1alpha1.RecipientGroup){
		"as it is": func(Holder, *v1alpha1.RecipientGroup) {},
		"the former key is junk": func(fra Holder, g *v1alpha1.RecipientGroup) {
			g.Status.Former[0].Key = g.Status.Former[0].Key[:len(g.Status.Former[0].Key)-9]
		},
		"the former key is another one": func(fra Holder, g *v1alpha1.RecipientGroup) {
			present, err := secrets.ParseRecipient(g.Status.Recipient)
			if err != nil {
				t.Fatal(err)
			}
			if g.Status.Former[0].Key, err = secrets.Wrap(present, fra.keyOf(g, 1), junk); err != nil {
				t.Fatal(err)
			}
		},
		"the present key is junk": func(fra Holder, g *v1alpha1.RecipientGroup) {
			g.Status.Wraps[1].Wrap = g.Status.Wraps[1].Wrap[:len(g.Status.Wraps[1].Wrap)-9]
		},
	} {
		fra := keyHolder(t, "fra")
		v := sealedState(t, fra, func(*v1alpha1.FleetSecret) {})
		g, err := decoded.GroupAt(v, "readers")
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := sealedIn(v, "secret.db-u-1")
		if err != nil {
			t.Fatal(err)
		}
		reader := plan.KeyReader{Cluster: "fra", Recipient: fra.recipient()}
		key, err := keeperOf(fra).keyFor(g, plan.KeyDuty{Make: true, Why: "asked for", Wrap: []plan.KeyReader{reader}}, metav1.Time{})
		if err != nil {
			t.Fatal(err)
		}
		wrap, err := secrets.Wrap(fra.Age.Recipient(), fra.keyOf(g, 2), key)
		if err != nil {
			t.Fatal(err)
		}
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: "fra", Key: v1alpha1.KeyID(reader.Recipient), Epoch: 2, Wrap: wrap})
		spoil(fra, g)
		ring, err := fra.keyring(g)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := ring.proves(); (err == nil) != (name == "as it is") {
			t.Errorf("%s: it proves: %v", name, err)
		}
		if _, err := ring.openSecret(&sealed, v1alpha1.Believed{}); err != nil {
			t.Errorf("%s: what was sealed before is not opened: %v", name, err)
		}
	}
}
