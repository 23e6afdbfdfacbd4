package agent

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/reconcile"
	"github.com/hanse-fleet/hanse/secrets"
)

// keyHolder is a member of a cluster, with an age identity of its own.
func keyHolder(t *testing.T, cluster string) *Core {
	t.Helper()
	id, err := dataDir(t.TempDir()).ageIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return &Core{self: self{Fleet: "acme", Cluster: cluster}, age: id, log: slog.New(slog.DiscardHandler), decoded: newDecoded()}
}

// sealedState is a state in which the secret db, sealed for the group readers, is granted to fra and to sin; only fra has the group's key.
func sealedState(t *testing.T, reader *Core, change func(*v1alpha1.FleetSecret)) *store.View {
	t.Helper()
	key, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	g.Status = v1alpha1.RecipientGroupStatus{Recipient: key.Recipient().String(), Epoch: 1}
	wrap, err := secrets.Wrap(reader.age.Recipient(), reader.keyOf(g), key)
	if err != nil {
		t.Fatal(err)
	}
	g.Status.Wraps = []v1alpha1.KeyWrap{{Cluster: reader.self.Cluster, Key: v1alpha1.KeyID(reader.age.Recipient().String()), Epoch: 1, Wrap: wrap}}
	s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"}}
	s.Spec = v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop", Immutable: true}
	if s.Spec.Data, err = secrets.Seal(key.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("canary-4711")}); err != nil {
		t.Fatal(err)
	}
	change(s)
	manifest, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{
		v1alpha1.KeyRecipientGroups + "readers": g,
		v1alpha1.KeyBundleRevisions + "secret.db-u-1": map[string]any{"spec": map[string]any{
			"bundle": "secret.db", "bundleUID": "u", "manifests": []json.RawMessage{manifest}}},
	}
	for _, cluster := range []string{"fra", "sin"} {
		values[v1alpha1.GrantKey(cluster, "secret.db")] = v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", Revision: "secret.db-u-1"}
	}
	return stateWith(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
}

func grantOf(t *testing.T, c *Core, v *store.View) reconcile.Grant {
	t.Helper()
	all, err := newGrants(c).read(v, v1alpha1.KeyGrants+c.self.Cluster+"/")
	if err != nil || len(all) != 1 {
		t.Fatalf("%d grants: %v", len(all), err)
	}
	return all[0]
}

func TestAMemberOfTheGroupKeepsTheSecret(t *testing.T) {
	fra := keyHolder(t, "fra")
	g := grantOf(t, fra, sealedState(t, fra, func(*v1alpha1.FleetSecret) {}))
	want := []unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "db", "namespace": "shop"},
		"type": "Opaque", "immutable": true, "data": map[string]any{"password": "Y2FuYXJ5LTQ3MTE="},
	}}}
	if diff := cmp.Diff(want, g.Objects); diff != "" || g.Fault != "" {
		t.Errorf("fault %q, and\n%s", g.Fault, diff)
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
	group, err := groupAt(v, "readers")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sin.groupKey(group); err == nil {
		t.Error("under another's name it has the key")
	}
	if _, err := secrets.Unwrap(sin.age, sin.keyOf(group), group.Status.Recipient, group.Status.Wraps[0].Wrap); err == nil {
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
		"moved to another namespace": {func(s *v1alpha1.FleetSecret) { s.Namespace = "mine" }, "it is not of mine/db"},
		"moved to another name":      {func(s *v1alpha1.FleetSecret) { s.Name = "api" }, "it is not of shop/api"},
		"for a group that is gone":   {func(s *v1alpha1.FleetSecret) { s.Spec.Group = "gone" }, "group gone, which is not there"},
		"cut":                        {func(s *v1alpha1.FleetSecret) { s.Spec.Data = s.Spec.Data[:len(s.Spec.Data)-9] }, "damaged"},
		"for another key": {func(s *v1alpha1.FleetSecret) {
			other, err := secrets.NewIdentity()
			if err == nil {
				s.Spec.Data, err = secrets.Seal(other.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("canary-4711")})
			}
			if err != nil {
				panic(err)
			}
		}, "not sealed to the present recipient of group readers; seal it again"},
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

func TestAMembersAgeIdentityIsMadeOnceAndReadableByItsOwnerAlone(t *testing.T) {
	dir := dataDir(t.TempDir())
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

// FuzzAgeKey: whatever the file has, it is the identity that it says, or an error that does not tell it.
func FuzzAgeKey(f *testing.F) {
	id, err := secrets.NewIdentity()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "\n", "# a\n", id.Reveal(), "# recipient: x\r\n" + id.Reveal() + "\r\n", "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := dataDir(t.TempDir())
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
