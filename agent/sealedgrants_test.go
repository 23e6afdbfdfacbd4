package agent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/keep/keeptest"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/reconcile"
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
	return keeptest.Sealed(t, reader.self.Cluster, reader.age.Recipient(), change)
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

// What was opened is opened once, and is in memory no longer than the member holds the key.
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
	first := read()
	if len(first.Objects) != 1 {
		t.Fatalf("it has %d objects", len(first.Objects))
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
	if again := read(); &again.Objects[0] == &first.Objects[0] {
		t.Error("another grant of it is not opened anew")
	}
	first = read()
	write(4, v1alpha1.KeyRecipientGroups+"others", func([]byte) any { return "junk" })
	if again := read(); len(again.Objects) != 1 || &again.Objects[0] != &first.Objects[0] {
		t.Error("as another group cannot be read, it is opened anew")
	}
	write(5, v1alpha1.KeyRecipientGroups+"readers", group(func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = nil }))
	if again := read(); len(again.Objects) > 0 || !strings.Contains(again.Fault, "cluster fra has no key") || len(g.filled["secret.db"].objects) > 0 {
		t.Errorf("without the key it has %d objects, and says %q", len(again.Objects), again.Fault)
	}
	write(6, own+"secret.db", func([]byte) any { grant.Withdraw = true; return grant })
	if read(); len(g.filled) > 0 {
		t.Error("what is withdrawn is in memory")
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
