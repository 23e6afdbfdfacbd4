package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/agetest"
	"github.com/hanse-fleet/hanse/secrets"
	"github.com/hanse-fleet/hanse/secrets/foreign"
	"github.com/hanse-fleet/hanse/secrets/foreign/foreigntest"
	"sigs.k8s.io/yaml"
)

// FuzzSealManifest: a Secret as a person hands it over is refused, or opens in the cluster as it was.
func FuzzSealManifest(f *testing.F) {
	id, err := secrets.ParseIdentity(agetest.Key(1))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "kind: Secret", "{}", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\ndata: {c: ZA==}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {c: d, 'x y': z}\nimmutable: true\ntype: kubernetes.io/tls",
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"A"},"data":{"c":null}}`, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: [1]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in := &importing{name: "-", stdin: bytes.NewReader(bytes.Clone(text)), env: func(string) string { return "" }, keys: &foreign.Keys{}}
		all, err := in.sealings()
		if err != nil || len(all) != 1 {
			return
		}
		s := all[0]
		s.spec.Group = "readers"
		manifest, err := s.sealed(id.Recipient())
		if err != nil {
			return
		}
		var made v1alpha1.FleetSecret
		if err := yaml.Unmarshal(manifest, &made); err != nil {
			t.Fatalf("the manifest cannot be read: %v", err)
		}
		target := made.Target()
		got, err := secrets.Open(id, secrets.Target{Namespace: target.Namespace, Name: target.Name}, made.Spec.Data)
		if err != nil || !maps.EqualFunc(got, s.data, bytes.Equal) || !strings.Contains(string(text), "Secret") {
			t.Errorf("it opens as %d values of %d: %v", len(got), len(s.data), err)
		}
	})
}

// importedFrom are the Secrets in a file, or in a text, with the keys of some files, or with what the environment says.
func importedFrom(name, text string, env map[string]string, identities ...string) ([]sealing, error) {
	in := &importing{name: name, identities: identities, stdin: strings.NewReader(text), env: func(key string) string { return env[key] }}
	return in.sealings()
}

// fixture is the place of a file that another tool wrote, or of one of keys, which is made there.
func fixture(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(path, foreigntest.File(name), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatOtherToolsSealedIsImportedUnderItsName(t *testing.T) {
	nowhere := map[string]string{"HOME": t.TempDir()}
	home := t.TempDir()
	place := filepath.Join(home, ".config", "sops", "age")
	key := foreigntest.File("sops/age.key")
	err := errors.Join(os.MkdirAll(place, 0o700), os.WriteFile(filepath.Join(place, "keys.txt"), key, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file, stdin string
		env         map[string]string
		identities  []string
		names       string
	}{
		"SOPS, by a file":                  {fixture(t, "sops/regex.yaml"), "", nowhere, []string{fixture(t, "sops/age.key")}, "shop/db"},
		"SOPS, by SOPS_AGE_KEY_FILE":       {fixture(t, "sops/regex.yaml"), "", map[string]string{"SOPS_AGE_KEY_FILE": fixture(t, "sops/age.key")}, nil, "shop/db"},
		"SOPS, by SOPS_AGE_KEY":            {fixture(t, "sops/whole.json"), "", map[string]string{"SOPS_AGE_KEY": string(key)}, nil, "shop/db"},
		"SOPS, by the file of a home":      {fixture(t, "sops/whole.yaml"), "", map[string]string{"HOME": home}, nil, "shop/db"},
		"SOPS, several":                    {fixture(t, "sops/several.yaml"), "", nowhere, []string{fixture(t, "sops/age.key")}, "shop/db shop/api"},
		"SOPS, a List":                     {fixture(t, "sops/list.yaml"), string(key), nowhere, []string{"-"}, "shop/db shop/api"},
		"a SealedSecret":                   {fixture(t, "sealedsecrets/strict.yaml"), "", nowhere, []string{fixture(t, "sealedsecrets/keys.yaml")}, "shop/db"},
		"a SealedSecret, by one of two":    {fixture(t, "sealedsecrets/json.json"), "", nowhere, []string{fixture(t, "sops/age.key"), fixture(t, "sealedsecrets/b.pem")}, "shop/db"},
		"a Secret of a cluster":            {"-", targetOfExternal, nowhere, nil, "shop/db"},
		"several of a cluster, with Lists": {"-", `{"apiVersion":"v1","kind":"List","items":[` + strings.Repeat(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b"},"data":{"c":"ZA=="}},`, 2) + `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"e","namespace":"b"},"data":{"c":"ZA=="}}]}`, nowhere, nil, "b/a b/a b/e"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := importedFrom(tt.file, tt.stdin, tt.env, tt.identities...)
			var names []string
			for _, s := range all {
				names = append(names, s.spec.Namespace+"/"+s.name)
				if len(s.data) == 0 || s.spec.Adopt != v1alpha1.AdoptIfEqual {
					t.Errorf("%s has %d values, and adopts %s", s.name, len(s.data), s.spec.Adopt)
				}
			}
			if got := strings.Join(names, " "); err != nil || got != tt.names {
				t.Errorf("it has %s: %v", got, err)
			}
		})
	}
}

const targetOfExternal = `apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: shop
  uid: u
  labels: {reconcile.external-secrets.io/managed: "true"}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: canary-4711}
  ownerReferences: [{apiVersion: external-secrets.io/v1, kind: ExternalSecret, name: db-vault, uid: a}]
type: Opaque
data: {password: Y2FuYXJ5LTQ3MTE=}
`

func TestWhoElseWritesASecretIsTold(t *testing.T) {
	all, err := importedFrom("-", targetOfExternal, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "Secret shop/db is written by ExternalSecret db-vault where that is; before the fleet brings it there, take that away and leave the Secret: kubectl delete externalsecret db-vault -n shop --cascade=orphan\n" +
		"Secret shop/db has labels, which do not go with it to other clusters: reconcile.external-secrets.io/managed"
	if got := strings.Join(all[0].notes, "\n"); got != want {
		t.Errorf("it says %s", got)
	}
	all, err = importedFrom(fixture(t, "sealedsecrets/strict.yaml"), "", nil, fixture(t, "sealedsecrets/keys.yaml"))
	if err != nil || len(all[0].notes) != 1 || !strings.HasSuffix(all[0].notes[0], "kubectl delete sealedsecret db -n shop --cascade=orphan") {
		t.Errorf("a SealedSecret: %v, %v", all, err)
	}
}

func TestWhatCannotBeImportedIsRefusedWithoutAValue(t *testing.T) {
	secret := func(fields string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n" + fields
	}
	sops := func(part, by string) string {
		return strings.Replace(string(foreigntest.File("sops/regex.yaml")), part, by, 1)
	}
	nowhere, withKey := map[string]string{"HOME": t.TempDir()}, map[string]string{"SOPS_AGE_KEY": string(foreigntest.File("sops/age.key"))}
	const left = "SOPS encrypted it, or a value of it, and it cannot be opened here"
	for name, tt := range map[string]struct {
		file, stdin string
		env         map[string]string
		identities  []string
		why         string
	}{
		"nothing":                          {"-", "", nowhere, nil, "stdin: there is no Secret in it"},
		"no YAML":                          {"-", secret("stringData: {p: [canary-4711}"), nowhere, nil, "stdin: line 3: it cannot be read as manifests"},
		"a value that looks like an alias": {"-", secret("stringData: {p: *canary-4711}"), nowhere, nil, "it cannot be read as manifests"},
		"a tag":                            {"-", secret("stringData: {p: !!int canary-4711}"), nowhere, nil, "it cannot be read as manifests"},
		"a key twice":                      {"-", secret("stringData: {p: canary-4711, p: canary-4712}"), nowhere, nil, "it cannot be read as manifests"},
		"a number as a value":              {"-", secret("stringData: {p: 4711}"), nowhere, nil, "a field is not of its type"},
		"no base64":                        {"-", secret("data: {p: canary-4711}"), nowhere, nil, "a value is not base64"},
		"no kind":                          {"-", "stringData: {p: canary-4711}", nowhere, nil, "it has no apiVersion"},
		"a ConfigMap":                      {"-", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {p: canary-4711}", nowhere, nil, "not a Secret, nor a SealedSecret"},
		"an ExternalSecret":                {"-", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a}", nowhere, nil, "take the Secret that it makes"},
		"a token":                          {"-", secret("type: kubernetes.io/service-account-token\ndata: {token: Y2FuYXJ5}"), nowhere, nil, "Secret b/a is a token of a service account"},
		"a release of Helm":                {"-", secret("type: helm.sh/release.v1\ndata: {release: Y2FuYXJ5}"), nowhere, nil, "Helm's record of a release"},
		"no such file":                     {"nowhere", "", nowhere, nil, "nowhere: no such file or directory"},
		"SOPS without a key":               {fixture(t, "sops/regex.yaml"), "", nowhere, nil, "no age key is given"},
		"SOPS with another key":            {fixture(t, "sops/regex.yaml"), "", nowhere, []string{fixture(t, "sops/other.key")}, "none of the age keys that are given opens it"},
		"the keys of a person, unasked":    {fixture(t, "sops/regex.yaml"), "", map[string]string{"SOPS_AGE_KEY_FILE": fixture(t, "sops/age.key")}, []string{fixture(t, "sops/other.key")}, "none of the age keys"},
		"no such key file":                 {fixture(t, "sops/regex.yaml"), "", nowhere, []string{"nowhere"}, "--identity nowhere: no such file"},
		"no such SOPS_AGE_KEY_FILE":        {fixture(t, "sops/regex.yaml"), "", map[string]string{"SOPS_AGE_KEY_FILE": "nowhere"}, nil, "SOPS_AGE_KEY_FILE: nowhere: no such file"},
		"a key that is none":               {fixture(t, "sops/regex.yaml"), "canary-4711", nowhere, []string{"-"}, "--identity -: it has no private key that is understood"},
		"SOPS that was tampered with":      {"-", tampered(t), map[string]string{"SOPS_AGE_KEY_FILE": fixture(t, "sops/age.key")}, nil, "stdin: it was changed without sops"},
		"a SealedSecret without a key":     {fixture(t, "sealedsecrets/strict.yaml"), "", nowhere, nil, "--identity"},
		"a SealedSecret, another key":      {fixture(t, "sealedsecrets/strict.yaml"), "", nowhere, []string{fixture(t, "sealedsecrets/b.pem")}, "spec.encryptedData.password: none of the 1 keys opens it"},
		"SOPS with an alias":               {"-", sops("type: Opaque", "type: &canary-47 Opaque\nmore: *canary-47"), withKey, nil, left},
		"SOPS, very deep":                  {"-", sops("type: Opaque", "type: Opaque\nmore: "+strings.Repeat("[", 65)+strings.Repeat("]", 65)), withKey, nil, left},
		"SOPS with a large number":         {"-", sops("type: Opaque", "type: Opaque\nmore: 9223372036854775808"), withKey, nil, left},
		"SOPS with a field twice":          {"-", sops("type: Opaque", "type: Opaque\ntype: Opaque"), withKey, nil, "it cannot be read as manifests"},
		"SOPS without a MAC":               {"-", sops("    mac:", "    gone:"), withKey, nil, left},
		"SOPS without what it says of it":  {"-", sops("\nsops:\n", "\ngone:\n"), withKey, nil, left},
		"SOPS after another Secret":        {"-", secret("stringData: {p: a}\n---\n") + sops("type: Opaque", "type: &a Opaque\nmore: *a"), withKey, nil, "stdin: line 7: SOPS encrypted it"},
		"one value of SOPS":                {"-", secret("stringData: {p: 'ENC[AES256_GCM,data:canary,iv:a,tag:a,type:str]'}"), withKey, nil, left},
		"one value of SOPS, in base64":     {"-", secret("data: {p: RU5DW0FFUzI1Nl9HQ00sY2FuYXJ5XQ==}"), withKey, nil, left},
		"one value of SOPS, in a List":     {"-", `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"p":"ENC[AES256_GCM,canary]"}}]}`, withKey, nil, left},
		"a List that SOPS wrote":           {"-", `{"apiVersion":"v1","kind":"List","sops":{"version":"3.9.0"},"items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"p":"canary"}}]}`, withKey, nil, left},
		"JSON that names SOPS by escapes":  {"-", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"p":"canary"},"\u0073ops":{"\u006dac":"a"}}`, withKey, nil, left},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := importedFrom(tt.file, tt.stdin, tt.env, tt.identities...)
			if err == nil || all != nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the error is %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error tells the value: %v", err)
			}
		})
	}
}

func tampered(t *testing.T) string {
	t.Helper()
	return strings.Replace(string(foreigntest.File("sops/regex.yaml")), "namespace: shop", "namespace: mine", 1)
}

func TestWhoSealsIsToldThatAnotherKeyIsDue(t *testing.T) {
	cluster := func(name, tier string) v1alpha1.Cluster {
		return v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}}
	}
	wrap := func(cluster, recipient string) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(recipient), Epoch: 3, Wrap: []byte("wrapped")}
	}
	fleets := []v1alpha1.Fleet{{Spec: v1alpha1.FleetSpec{RecoveryRecipients: []string{"of the safe"}}}}
	for name, c := range map[string]struct {
		clusters []v1alpha1.Cluster
		fleets   []v1alpha1.Fleet
		rotate   int64
		why      string
	}{
		"all is as it should be":     {[]v1alpha1.Cluster{cluster("fra", "prod"), cluster("iad", "prod")}, fleets, 0, ""},
		"a cluster was removed":      {[]v1alpha1.Cluster{cluster("fra", "prod")}, fleets, 0, "as cluster iad may not read any more"},
		"a cluster has other labels": {[]v1alpha1.Cluster{cluster("fra", "prod"), cluster("iad", "test")}, fleets, 0, "as cluster iad may not read any more"},
		"a person was taken out":     {[]v1alpha1.Cluster{cluster("fra", "prod"), cluster("iad", "prod")}, nil, 0, "as a recovery recipient may not read any more"},
		"an admin asked for it":      {[]v1alpha1.Cluster{cluster("fra", "prod"), cluster("iad", "prod")}, fleets, 1, "as it was asked for"},
	} {
		g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
		g.Spec.ClusterSelector, g.Spec.Rotate = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}, c.rotate
		g.Status.Epoch, g.Status.Wraps = 3, []v1alpha1.KeyWrap{wrap("fra", "of fra"), wrap("iad", "of iad"), wrap("", "of the safe")}
		got := keyDue(g, c.clusters, c.fleets, time.Unix(9000, 0))
		if (got == "") != (c.why == "") || !strings.Contains(got, c.why) || c.why != "" && !strings.Contains(got, "group readers") || c.why != "" && !strings.Contains(got, "EPOCH is 4") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
