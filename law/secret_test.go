package law

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func secret(name string) *v1alpha1.FleetSecret {
	return &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: named(name),
		Spec: v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop", SecretName: "login", Data: []byte("sealed")}}
}

func TestASecretIsRolledOutLikeABundle(t *testing.T) {
	r := keyed(t)
	write := func(member store.MemberID, person string, s *v1alpha1.FleetSecret) error {
		return r.try(member, person, 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+s.Name, s))...)
	}
	if err := write("id-fra", "otto", secret("db")); err != nil {
		t.Fatal(err)
	}
	kv, there := r.store.View().Get(v1alpha1.KeyBundleRevisions + "secret.db-u-db-1")
	if !there {
		t.Fatal("it has no revision")
	}
	want := `{"kind":"BundleRevision","apiVersion":"fleet.hanse.dev/v1alpha1","metadata":{"name":"secret.db-u-db-1","uid":"` + uidIn(t, kv.Value) + `","generation":1},` +
		`"spec":{"adopt":"Never","bundle":"secret.db","bundleUID":"u-db","deletion":"Prune","drift":"Correct","generation":1,` +
		`"manifests":[{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"FleetSecret","metadata":{"name":"login","namespace":"shop"},` +
		`"spec":{"group":"readers","namespace":"shop","secretName":"login","data":"c2VhbGVk"}}]}}`
	if string(kv.Value) != want {
		t.Errorf("its revision is\n%s\nand not\n%s", kv.Value, want)
	}
	two := secret("two")
	two.Spec.Also = []v1alpha1.FurtherSecret{{Namespace: "crm", Name: "api", Template: map[string]string{"a": "${b}"}}}
	if err := write("id-fra", "otto", two); err != nil {
		t.Fatal(err)
	}
	wantSeveral := `"manifests":[{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"FleetSecret","metadata":{"name":"login","namespace":"shop"},` +
		`"spec":{"group":"readers","namespace":"shop","secretName":"login","also":[{"namespace":"crm","name":"api","template":{"a":"${b}"}}],"data":"c2VhbGVk"}},` +
		`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"FleetSecret","metadata":{"name":"api","namespace":"crm"}}]`
	if kv, _ := r.store.View().Get(v1alpha1.KeyBundleRevisions + "secret.two-u-two-1"); !strings.Contains(string(kv.Value), wantSeveral) {
		t.Errorf("the revision of several is %s", kv.Value)
	}
	taking := secret("taking")
	taking.Spec.Adopt = v1alpha1.AdoptIfEqual
	if err := write("id-fra", "otto", taking); err != nil {
		t.Fatal(err)
	}
	if kv, _ := r.store.View().Get(v1alpha1.KeyBundleRevisions + "secret.taking-u-taking-1"); !strings.Contains(string(kv.Value), `"spec":{"adopt":"IfEqual","bundle"`) {
		t.Errorf("what it takes over is not in its revision: %s", kv.Value)
	}
	if err := r.try("id-fra", "otto", 0, r.put(v1alpha1.KeyFleetSecrets+"bare", secret("bare"))); err == nil {
		t.Error("it is written without its revision")
	}
	for who, member := range map[string]store.MemberID{"vera": "id-fra", "otto": "id-sin", "anna": "id-iad"} {
		if err := write(member, who, secret("x")); err == nil {
			t.Errorf("%s writes one through %s", who, member)
		}
	}
	other := secret("db")
	other.UID = "u-other"
	if err := r.try("id-fra", "otto", 0, r.put(v1alpha1.KeyFleetSecrets+"db", other)); err == nil {
		t.Error("another one takes its place")
	}
	lied := secret("db")
	lied.Status.ReadyClusters = 7
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", lied))...); err == nil {
		t.Error("an operator says where it is")
	}

	if err := r.tryBare("id-fra", "", term, r.put(v1alpha1.GrantKey("iad", "secret.db"), v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u-db", Revision: "secret.db-u-db-1"})); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(v1alpha1.KeyFleetSecrets+"db"))...); err != nil {
		t.Fatal(err)
	}
	kv, there = r.store.View().Get(v1alpha1.KeyTombstones + "u-db")
	if want := `{"bundle":"secret.db","bundleUID":"u-db","clusters":["iad"]}`; !there || string(kv.Value) != want {
		t.Errorf("it leaves %s", kv.Value)
	}
}

func uidIn(t *testing.T, revision []byte) string {
	t.Helper()
	var r record
	if err := json.Unmarshal(revision, &r); err != nil {
		t.Fatal(err)
	}
	return r.Metadata.UID
}

// TestNoBundleSpeaksForASecret: what is rolled out under the name of a secret is that secret, whoever writes past the API.
func TestNoBundleSpeaksForASecret(t *testing.T) {
	for name, want := range map[string]bool{"shop": true, "secret.db": false} {
		r := newRealm(t)
		if err := r.try("id-fra", "anna", 0, r.whole(r.put(v1alpha1.KeyBundles+name, r.bundle(name, "sin")))...); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzSealed: whatever is written as a secret is refused, or is rolled out as one manifest for each Secret, the first of which has its content.
func FuzzSealed(f *testing.F) {
	whole, err := json.Marshal(secret("db"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(whole), "", "null", "{}", "[]", `{"metadata":{"name":"a"},"spec":{"data":1}}`, `{"metadata":{"name":"a","uid":"\""},"spec":{}}`, `{"metadata":{},"spec":{},"spec":null}`, `{"Spec":{}}`, `{"metadata":{"name":"a"},"spec":{"also":[{"namespace":"b","name":"c"},{}]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		b, ok := sealed(value)
		if !ok {
			return
		}
		var said v1alpha1.FleetSecret
		if err := json.Unmarshal(value, &said); err != nil {
			t.Fatalf("what cannot be read is rolled out: %v", err)
		}
		var all []v1alpha1.FleetSecret
		if err := json.Unmarshal(b.content["manifests"], &all); err != nil || len(all) != 1+len(said.Spec.Also) {
			t.Fatalf("%d manifests: %v", len(all), err)
		}
		for i, target := range said.Targets() {
			if all[i].Namespace != target.Namespace || all[i].Name != target.Name {
				t.Errorf("%s is rolled out as %s", value, b.content["manifests"])
			}
		}
		if one := all[0]; one.Spec.Group != said.Spec.Group || !bytes.Equal(one.Spec.Data, said.Spec.Data) {
			t.Errorf("%s is rolled out as %s", value, b.content["manifests"])
		}
	})
}
