package agent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/agetest"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/reconcile"
	"github.com/hanse-fleet/hanse/secrets"
)

// keyHolder is a member of a cluster, with an age identity of its own.
func keyHolder(t *testing.T, cluster string) *Core {
	t.Helper()
	id, err := dataDir{folder: t.TempDir()}.ageIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return &Core{self: self{Fleet: "acme", Cluster: cluster}, age: id, log: slog.New(slog.DiscardHandler), decoded: decoded.NewKinds()}
}

// sealedState is a state in which the secret db, sealed for the group readers, is granted to fra and to sin; only fra has the group's key.
func sealedState(t *testing.T, reader *Core, change func(*v1alpha1.FleetSecret)) *store.View {
	t.Helper()
	return storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, sealedValues(t, reader, change))
}

func sealedValues(t *testing.T, reader *Core, change func(*v1alpha1.FleetSecret)) map[string]any {
	t.Helper()
	key, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	g.Status = v1alpha1.RecipientGroupStatus{Recipient: key.Recipient().String(), Epoch: 1}
	wrap, err := secrets.Wrap(reader.age.Recipient(), reader.keyOf(g, 1), key)
	if err != nil {
		t.Fatal(err)
	}
	g.Status.Wraps = []v1alpha1.KeyWrap{{Cluster: reader.self.Cluster, Key: v1alpha1.KeyID(reader.age.Recipient().String()), Epoch: 1, Wrap: wrap}}
	s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"}}
	s.Spec = v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop", Immutable: true}
	if s.Spec.Data, err = secrets.Seal(key.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("canary-4711")},
		secrets.Bound{Target: secrets.Target{Namespace: "crm", Name: "api"}}, secrets.Bound{Target: secrets.Target{Namespace: "web", Name: "db"}, Keys: []string{"password"}}); err != nil {
		t.Fatal(err)
	}
	change(s)
	manifests := []any{s}
	for _, target := range s.Targets()[1:] {
		manifests = append(manifests, v1alpha1.FleetSecret{TypeMeta: s.TypeMeta, ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name}})
	}
	stored := s.DeepCopy()
	stored.Namespace = ""
	values := map[string]any{
		v1alpha1.KeyFleetSecrets + "db":         stored,
		v1alpha1.KeyRecipientGroups + "readers": g,
		v1alpha1.KeyBundleRevisions + "secret.db-u-1": map[string]any{"spec": map[string]any{
			"bundle": "secret.db", "bundleUID": "u", "manifests": manifests}},
	}
	for _, cluster := range []string{"fra", "sin"} {
		values[v1alpha1.GrantKey(cluster, "secret.db")] = v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", Revision: "secret.db-u-1"}
	}
	return values
}

func grantOf(t *testing.T, c *Core, v *store.View) reconcile.Grant {
	t.Helper()
	all, err := newGrants(c).read(v, v1alpha1.KeyGrants+c.self.Cluster+"/")
	if err != nil || len(all) != 1 {
		t.Fatalf("%d grants: %v", len(all), err)
	}
	return all[0]
}

// anew is the metadata of a Secret that may be made anew where its cluster does not let it be changed.
func anew(namespace, name string) map[string]any {
	return map[string]any{"name": name, "namespace": namespace, "annotations": map[string]any{"fleet.hanse.dev/replace": "WhenImmutable"}}
}

func TestAMemberOfTheGroupKeepsTheSecret(t *testing.T) {
	fra := keyHolder(t, "fra")
	g := grantOf(t, fra, sealedState(t, fra, func(*v1alpha1.FleetSecret) {}))
	want := []unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": anew("shop", "db"),
		"type": "Opaque", "immutable": true, "data": map[string]any{"password": "Y2FuYXJ5LTQ3MTE="},
	}}}
	if diff := cmp.Diff(want, g.Objects); diff != "" || g.Fault != "" {
		t.Errorf("fault %q, and\n%s", g.Fault, diff)
	}
}

// A rollout that moves a secret to another group has stopped, and the member starts anew: it still has to open what it is granted.
func TestTheGroupOfWhatAMemberIsGrantedStays(t *testing.T) {
	fra := keyHolder(t, "fra")
	values := sealedValues(t, fra, func(*v1alpha1.FleetSecret) {})
	moved := values[v1alpha1.KeyFleetSecrets+"db"].(*v1alpha1.FleetSecret)
	moved.UID, moved.Generation, moved.Spec.Group = "u", 2, "others"
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
	kv, _ := v.Get(v1alpha1.KeyRecipientGroups + "readers")
	if _, _, err := law.Companions(v, law.Change{Key: kv.Key, Before: kv.Value}); !errors.As(err, new(*store.Forbidden)) {
		t.Errorf("the group goes: %v", err)
	}
	if g := grantOf(t, fra, v); g.Fault != "" || len(g.Objects) != 1 || g.Objects[0].GetKind() != "Secret" {
		t.Errorf("fault %q, and %v", g.Fault, g.Objects)
	}
	delete(values, v1alpha1.KeyRecipientGroups+"readers")
	fra.decoded = decoded.NewKinds() // another store
	if g := grantOf(t, fra, storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)); g.Fault == "" {
		t.Error("it is opened without its group: then that may go")
	}
}

// What was opened is opened once, and it and the group's key are in memory no longer than the member holds that.
func TestWhatIsOpenedIsInMemoryWhileTheKeyIsHeld(t *testing.T) {
	fra := keyHolder(t, "fra")
	s := storetest.Store(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, sealedValues(t, fra, func(*v1alpha1.FleetSecret) {}))
	g, own := newGrants(fra), v1alpha1.KeyGrants+"fra/"
	read := func() reconcile.Grant {
		t.Helper()
		all, err := g.read(s.View(), own)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d grants: %v", len(all), err)
		}
		return all[0]
	}
	first, ring := read(), g.opening.rings["readers"]
	if ring == nil || len(first.Objects) != 1 {
		t.Fatalf("it has %d objects, and the ring %v", len(first.Objects), ring)
	}
	write := func(index uint64, key string, change func([]byte) any) {
		t.Helper()
		kv, _ := s.View().Get(key)
		op, err := law.Put(key, change(kv.Value))
		if err != nil {
			t.Fatal(err)
		}
		entry, err := store.EncodeEntry([]store.Command{{Proposer: "m", Txn: &store.Txn{Then: []store.Op{op}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(index, 1, entry); err != nil {
			t.Fatal(err)
		}
	}
	group := func(change func(*v1alpha1.RecipientGroup)) func([]byte) any {
		return func(was []byte) any {
			g := v1alpha1.RecipientGroup{}
			if err := json.Unmarshal(was, &g); err != nil {
				t.Fatal(err)
			}
			change(&g)
			return g
		}
	}
	grant := v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", Revision: "secret.db-u-1"}
	write(2, v1alpha1.KeyFleetSecrets+"api", func([]byte) any { return v1alpha1.FleetSecret{} })
	if again := read(); &again.Objects[0] != &first.Objects[0] {
		t.Error("what another was given had it opened anew")
	}
	write(3, own+"secret.db", func([]byte) any { return grant })
	if again := read(); &again.Objects[0] == &first.Objects[0] || g.opening.rings["readers"] != ring {
		t.Error("another grant of it is not opened with the key that is there")
	}
	first = read()
	write(4, v1alpha1.KeyRecipientGroups+"others", func([]byte) any { return "junk" })
	if again := read(); len(again.Objects) != 1 || &again.Objects[0] != &first.Objects[0] {
		t.Error("as another group cannot be read, it is opened anew")
	}
	write(5, v1alpha1.KeyRecipientGroups+"readers", group(func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = nil }))
	if again := read(); len(again.Objects) > 0 || !strings.Contains(again.Fault, "cluster fra has no key") || len(g.opening.rings) > 0 || len(g.filled["secret.db"].objects) > 0 {
		t.Errorf("without the key it has %d objects, %d rings, and says %q", len(again.Objects), len(g.opening.rings), again.Fault)
	}
	write(6, own+"secret.db", func([]byte) any { grant.Withdraw = true; return grant })
	if read(); len(g.filled) > 0 {
		t.Error("what is withdrawn is in memory")
	}
}

func TestAGroupThatCannotBeReadIsAMatterOfWhatIsSealedForItAlone(t *testing.T) {
	for group, why := range map[string]string{"readers": "", "others": "recipient group others cannot be read", "gone": "group gone, which is not there"} {
		fra := keyHolder(t, "fra")
		values := sealedValues(t, fra, func(s *v1alpha1.FleetSecret) { s.Spec.Group = group })
		values[v1alpha1.KeyRecipientGroups+"others"] = "junk"
		g := grantOf(t, fra, storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values))
		if (g.Fault == "") != (why == "") || !strings.Contains(g.Fault, why) {
			t.Errorf("sealed for %s, it says %q", group, g.Fault)
		}
	}
}

func TestASecretBecomesSeveralSecretsThatAreComposed(t *testing.T) {
	fra := keyHolder(t, "fra")
	v := sealedState(t, fra, func(s *v1alpha1.FleetSecret) {
		s.Spec.Template = map[string]string{"url": "postgres://shop:${url(password)}@db"}
		s.Spec.Also = []v1alpha1.FurtherSecret{
			{Namespace: "crm", Name: "api", Type: "example.org/api", Template: map[string]string{"auth": `${base64("shop:" password)}`}},
			{Namespace: "web", Name: "db", Immutable: true},
		}
	})
	secret := func(namespace, name, kind, key, value string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": anew(namespace, name), "type": kind,
			"data": map[string]any{key: base64.StdEncoding.EncodeToString([]byte(value))}}
	}
	first, api, web := secret("shop", "db", "Opaque", "url", "postgres://shop:canary-4711@db"), secret("crm", "api", "example.org/api", "auth", "c2hvcDpjYW5hcnktNDcxMQ=="), secret("web", "db", "Opaque", "password", "canary-4711")
	first["immutable"], web["immutable"] = true, true
	g := grantOf(t, fra, v)
	if diff := cmp.Diff([]unstructured.Unstructured{{Object: first}, {Object: api}, {Object: web}}, g.Objects); diff != "" || g.Fault != "" {
		t.Errorf("fault %q, and\n%s", g.Fault, diff)
	}
	content, there := contents{}.of(v, "secret.db-u-1")
	var names []string
	for _, o := range content.Objects {
		names = append(names, o.Kind+" "+o.Namespace+"/"+o.Name)
	}
	if want := []string{"Secret shop/db", "Secret crm/api", "Secret web/db"}; !there || !slices.Equal(names, want) {
		t.Errorf("it brings %v", names)
	}
	kv, _ := v.Get(v1alpha1.KeyFleetSecrets + "db")
	var stored v1alpha1.FleetSecret
	if err := json.Unmarshal(kv.Value, &stored); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() ([]v1alpha1.ObjectRef, error){
		func() ([]v1alpha1.ObjectRef, error) {
			mine, err := claimantOf(v, kv.Key, kv.Value)
			return mine.Spec.Manifests.refs(), err
		},
		func() ([]v1alpha1.ObjectRef, error) {
			b, err := secretAt(v, stored)
			if err != nil {
				return nil, err
			}
			return brings(b.Spec.Manifests), nil
		},
	} {
		if claimed, err := read(); err != nil || !slices.Equal(claimed, content.Objects) {
			t.Errorf("it claims %v, %v", claimed, err)
		}
	}
	told, err := fra.openedNow(v, &stored)
	if err != nil || !cmp.Equal(told, first) {
		t.Errorf("who asks is told %v, %v", told["metadata"], err)
	}
}

// A member outside of the group is given all that there is in the log, and its own key.
func TestAMemberOutsideOfTheGroupOpensNothing(t *testing.T) {
	fra, sin := keyHolder(t, "fra"), keyHolder(t, "sin")
	v := sealedState(t, fra, func(*v1alpha1.FleetSecret) {})
	g := grantOf(t, sin, v)
	if !strings.Contains(g.Fault, "cluster sin has no key of group readers") || len(g.Objects) > 0 {
		t.Errorf("it has %d objects, and says %q", len(g.Objects), g.Fault)
	}
	// Nor with the wrap of another one, or under its name.
	sin.self.Cluster = "fra"
	group, err := decoded.GroupAt(v, "readers")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sin.groupKey(group); err == nil {
		t.Error("under another's name it has the key")
	}
	if _, err := secrets.Unwrap(sin.age, sin.keyOf(group, 1), group.Status.Recipient, group.Status.Wraps[0].Wrap); err == nil {
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
			g := grantOf(t, fra, sealedState(t, fra, c.change))
			if !strings.Contains(g.Fault, c.why) || strings.Contains(g.Fault, "canary") || len(g.Objects) > 0 {
				t.Errorf("it has %d objects, and says %q", len(g.Objects), g.Fault)
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
	k := &keyKeeper{Core: fra}
	for range 2 {
		duty := plan.KeyDuty{Make: true, Why: "asked for", Wrap: []plan.KeyReader{{Cluster: "fra", Recipient: fra.age.Recipient().String()}}}
		key, err := k.keyFor(g, duty, metav1.Time{})
		if err != nil {
			t.Fatal(err)
		}
		wrap, err := secrets.Wrap(fra.age.Recipient(), fra.keyOf(g, g.Status.Epoch), key)
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
		secret, err := ring.openSecret(&sealed, surest(again))
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
	for name, again := range map[string]*v1alpha1.Sealing{"confirmed": &confirmed, "not yet": &record, "badly, and well before": {Found: 1, Epoch: 3, Data: bad.Data, Was: confirmed.Source()}} {
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
	for name, spoil := range map[string]func(fra *Core, g *v1alpha1.RecipientGroup){
		"as it is": func(*Core, *v1alpha1.RecipientGroup) {},
		"the former key is junk": func(fra *Core, g *v1alpha1.RecipientGroup) {
			g.Status.Former[0].Key = g.Status.Former[0].Key[:len(g.Status.Former[0].Key)-9]
		},
		"the former key is another one": func(fra *Core, g *v1alpha1.RecipientGroup) {
			present, err := secrets.ParseRecipient(g.Status.Recipient)
			if err != nil {
				t.Fatal(err)
			}
			if g.Status.Former[0].Key, err = secrets.Wrap(present, fra.keyOf(g, 1), junk); err != nil {
				t.Fatal(err)
			}
		},
		"the present key is junk": func(fra *Core, g *v1alpha1.RecipientGroup) {
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
		reader := plan.KeyReader{Cluster: "fra", Recipient: fra.age.Recipient().String()}
		key, err := (&keyKeeper{Core: fra}).keyFor(g, plan.KeyDuty{Make: true, Why: "asked for", Wrap: []plan.KeyReader{reader}}, metav1.Time{})
		if err != nil {
			t.Fatal(err)
		}
		wrap, err := secrets.Wrap(fra.age.Recipient(), fra.keyOf(g, 2), key)
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
		if _, err := ring.openSecret(&sealed, nil); err != nil {
			t.Errorf("%s: what was sealed before is not opened: %v", name, err)
		}
	}
}

func TestAMembersAgeIdentityIsMadeOnceAndReadableByItsOwnerAlone(t *testing.T) {
	dir := dataDir{folder: t.TempDir()}
	first, err := dir.ageIdentity()
	if err != nil {
		t.Fatal(err)
	}
	again, err := dir.ageIdentity()
	if err != nil || again.Reveal() != first.Reveal() {
		t.Errorf("the second start has another one: %v", err)
	}
	info, err := os.Stat(dir.path(fileKey))
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("it can be read by others: %v %v", info.Mode(), err)
	}
	if err := os.WriteFile(dir.path(fileKey), fmt.Appendln(nil, first.Reveal()[:70]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.ageIdentity(); err == nil || strings.Contains(err.Error(), first.Reveal()[:70]) {
		t.Errorf("one that is cut: %v", err)
	}
}

func TestWhoCannotOpenASecretSaysWhoCan(t *testing.T) {
	fra, sin := keyHolder(t, "fra"), keyHolder(t, "sin")
	values := sealedValues(t, fra, func(*v1alpha1.FleetSecret) {})
	group := values[v1alpha1.KeyRecipientGroups+"readers"].(*v1alpha1.RecipientGroup)
	group.Spec.ClusterSelector = &metav1.LabelSelector{}
	group.Status.Wraps = append(group.Status.Wraps, v1alpha1.KeyWrap{Cluster: "iad", Key: "lost since", Epoch: 1, Wrap: []byte("wrapped")})
	for name, recipient := range map[string]string{"fra": fra.age.Recipient().String(), "iad": "another"} {
		values[v1alpha1.KeyClusters+name] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: recipient}}
	}
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
	_, _, err := sin.revealing(v, "db", apiserver.Asker{})
	if !errors.Is(err, errNotOurs) || !strings.Contains(err.Error(), "cluster sin has no key of group readers") || !strings.HasSuffix(err.Error(), "members that hold the key: fra") {
		t.Errorf("the error is %v", err)
	}
	gone := sealedState(t, fra, func(s *v1alpha1.FleetSecret) { s.Spec.Group = "gone" })
	if _, _, err := fra.revealing(gone, "db", apiserver.Asker{}); !errors.Is(err, errNotOurs) || !strings.Contains(err.Error(), "group gone, which is not there") {
		t.Errorf("for a group that is gone: %v", err)
	}
	if _, _, err := fra.revealing(v, "api", apiserver.Asker{}); !errors.Is(err, errNoSecret) {
		t.Errorf("one that is not there: %v", err)
	}
}

// FuzzAgeKey: whatever the file has, it is the identity that it says, or an error that does not tell it.
// What changes nothing would be recorded as an edit like any other, and two may be told within one tick of a clock.
func TestEachRevealIsAnotherNote(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	note := revealedAt(now, "an older one")
	if note != "2030-01-02T03:04:05.000000006Z" {
		t.Errorf("the note is %s", note)
	}
	for range 3 { // the clock stands
		next := revealedAt(now, note)
		if next == note {
			t.Fatalf("%s is there already", note)
		}
		note = next
	}
	if first, then := revealedAt(now, ""), revealedAt(now.Add(time.Nanosecond), ""); first == then {
		t.Errorf("a nanosecond later it is %s", then)
	}
}

func FuzzAgeKey(f *testing.F) {
	id, err := secrets.ParseIdentity(agetest.Key(1))
	if err != nil {
		f.Fatal(err)
	}
	classical := "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX" // for tests alone, and nobody's secret: the byte 0x42, 32 times
	for _, seed := range []string{"", "\n", "# a\n", id.Reveal(), "# recipient: x\r\n" + id.Reveal() + "\r\n", classical, "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := dataDir{folder: t.TempDir()}
		if err := os.WriteFile(dir.path(fileKey), text, 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := dir.ageIdentity()
		switch {
		case err == nil && !strings.Contains(strings.ToUpper(string(text)), read.Reveal()):
			t.Error("it is another identity")
		case err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY-1"):
			t.Errorf("the error tells it: %v", err)
		}
	})
}
