package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

// keys are an identity each.
func keys(t *testing.T, n int) (all []secrets.Identity) {
	t.Helper()
	for range n {
		id, err := secrets.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	return all
}

func TestARecoveryKeyOpensWhatIsSealedToAnyKeyOfAGroup(t *testing.T) {
	all := keys(t, 6)
	own, other, group := all[0], all[1], all[2:]
	at := func(epoch int64) secrets.Key { return secrets.Key{Fleet: "acme", Group: "readers", Epoch: epoch} }
	wrap := func(to, key secrets.Identity, epoch int64) []byte {
		t.Helper()
		wrapped, err := secrets.Wrap(to.Recipient(), at(epoch), key)
		if err != nil {
			t.Fatal(err)
		}
		return wrapped
	}
	target := secrets.Target{Namespace: "shop", Name: "db"}
	sealed := func(key secrets.Identity) []byte {
		t.Helper()
		data, err := secrets.Seal(key.Recipient(), target, map[string][]byte{"password": []byte("canary-4711")})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	// the group has had the keys 1 to 3, and a fourth that is another's.
	g := v1alpha1.RecipientGroup{}
	g.Name, g.Status.Epoch, g.Status.Recipient = "readers", 3, group[2].Recipient().String()
	for i, key := range group[:2] {
		g.Status.Former = append(g.Status.Former, v1alpha1.FormerKey{Epoch: int64(i + 1), Recipient: key.Recipient().String(), Key: wrap(group[i+1], key, int64(i+1))})
	}
	mine := v1alpha1.KeyID(own.Recipient().String())
	of := func(cluster string, epoch int64) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: mine, Epoch: epoch, Wrap: wrap(own, group[epoch-1], epoch)}
	}
	second := func(one, other []byte) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Key: mine, Epoch: 3, Wrap: one, By: "fra", Second: &v1alpha1.SecondWrap{By: "iad", Wrap: other}}
	}
	for name, c := range map[string]struct {
		wraps []v1alpha1.KeyWrap
		with  secrets.Identity
		key   int // which of the group's it is sealed to
		why   string
	}{
		"the present one":         {[]v1alpha1.KeyWrap{of("", 3)}, own, 2, ""},
		"the one before":          {[]v1alpha1.KeyWrap{of("", 3)}, own, 1, ""},
		"the first":               {[]v1alpha1.KeyWrap{of("", 3)}, own, 0, ""},
		"of two wraps, the later": {[]v1alpha1.KeyWrap{of("", 2), of("", 3)}, own, 2, ""},
		"as long as nobody has opened the present one":      {[]v1alpha1.KeyWrap{of("", 2)}, own, 0, ""},
		"a later one than it was given":                     {[]v1alpha1.KeyWrap{of("", 2)}, own, 2, "sealed for another key"},
		"one that the group never had":                      {[]v1alpha1.KeyWrap{of("", 3)}, own, 3, "sealed for another key"},
		"a cluster's wrap is none of a person":              {[]v1alpha1.KeyWrap{of("fra", 3)}, own, 2, "not wrapped for this recovery key"},
		"another person's neither":                          {[]v1alpha1.KeyWrap{of("", 3)}, other, 2, "not wrapped for this recovery key"},
		"a wrap that says to be of another epoch":           {[]v1alpha1.KeyWrap{{Key: mine, Epoch: 3, Wrap: wrap(own, group[1], 2)}}, own, 2, "it is not key 3 of group readers"},
		"of two that two members wrote, the one that opens": {[]v1alpha1.KeyWrap{second([]byte("junk"), wrap(own, group[2], 3))}, own, 1, ""},
		"and the other way round":                           {[]v1alpha1.KeyWrap{second(wrap(own, group[2], 3), []byte("junk"))}, own, 1, ""},
		"the first of another key":                          {[]v1alpha1.KeyWrap{second(wrap(own, group[3], 3), wrap(own, group[2], 3))}, own, 1, ""},
		"two that do not open":                              {[]v1alpha1.KeyWrap{second([]byte("junk"), wrap(other, group[2], 3))}, own, 1, "the key 3 of group readers"},
		"a broken wrap of the present one beside an older":  {[]v1alpha1.KeyWrap{of("", 2), {Key: mine, Epoch: 3, Wrap: []byte("x")}}, own, 1, ""},
	} {
		g.Status.Wraps = c.wraps
		data, err := opened(c.with, g, target, sealed(group[c.key]), func() ([]*v1alpha1.Sealing, error) { return nil, nil })
		switch {
		case c.why == "" && (err != nil || string(data["password"]) != "canary-4711"):
			t.Errorf("%s: %d values: %v", name, len(data), err)
		case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v", name, err)
		case strings.Contains(fmt.Sprint(err), "canary"):
			t.Errorf("%s: it tells the value", name)
		}
	}
}

// vault is a group that has had three keys, and the secret db that is sealed to the first of them; own is a recovery key that reads the third.
type vault struct {
	own    secrets.Identity
	keys   []secrets.Identity
	group  v1alpha1.RecipientGroup
	secret v1alpha1.FleetSecret
}

func newVault(t *testing.T) *vault {
	t.Helper()
	all := keys(t, 4)
	v := &vault{own: all[0], keys: all[1:]}
	v.group.Name, v.group.Status.Epoch, v.group.Status.Recipient = "readers", 3, v.keys[2].Recipient().String()
	wrap := func(to secrets.Identity, epoch int64) []byte {
		wrapped, err := secrets.Wrap(to.Recipient(), secrets.Key{Fleet: "acme", Group: "readers", Epoch: epoch}, v.keys[epoch-1])
		if err != nil {
			t.Fatal(err)
		}
		return wrapped
	}
	for epoch := int64(1); epoch < 3; epoch++ {
		v.group.Status.Former = append(v.group.Status.Former, v1alpha1.FormerKey{Epoch: epoch, Recipient: v.keys[epoch-1].Recipient().String(), Key: wrap(v.keys[epoch], epoch)})
	}
	v.group.Status.Wraps = []v1alpha1.KeyWrap{{Key: v1alpha1.KeyID(v.own.Recipient().String()), Epoch: 3, Wrap: wrap(v.own, 3)}}
	v.secret.Name, v.secret.UID, v.secret.Generation = "db", "4711-0815", 2
	v.secret.Spec = v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop", Data: v.sealed(t, 1)}
	return v
}

var shopDB = secrets.Target{Namespace: "shop", Name: "db"}

// sealed is the value, sealed to the key of an epoch.
func (v *vault) sealed(t *testing.T, epoch int64) []byte {
	t.Helper()
	data, err := secrets.Seal(v.keys[epoch-1].Recipient(), shopDB, map[string][]byte{"password": []byte("canary-4711")})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestARecoveryKeyOpensWhatWasSealedAgain(t *testing.T) {
	v := newVault(t)
	gone := func(g *v1alpha1.RecipientGroup) { g.Status.Former = g.Status.Former[1:] }
	before := &v1alpha1.SealedBefore{Epoch: 2, Data: v.sealed(t, 2)}
	junk := []byte("junk")
	noAnswer := errors.New("no answer")
	for name, c := range map[string]struct {
		cut   func(*v1alpha1.RecipientGroup)
		again *v1alpha1.Sealing
		fails error
		why   string
	}{
		"the chain has the key, and nobody is asked": {cut: func(*v1alpha1.RecipientGroup) {}, fails: noAnswer},
		"the key is gone":                              {cut: gone, why: "sealed for another key"},
		"who is asked does not answer":                 {cut: gone, fails: noAnswer, why: "no answer"},
		"it was sealed again and confirmed":            {cut: gone, again: &v1alpha1.Sealing{Found: 1, Epoch: 3, Data: v.sealed(t, 3), Confirmed: "iad"}},
		"nobody has confirmed it":                      {cut: gone, again: &v1alpha1.Sealing{Found: 1, Epoch: 3, Data: v.sealed(t, 3)}},
		"badly, and well before":                       {cut: gone, again: &v1alpha1.Sealing{Found: 1, Epoch: 3, Data: junk, Was: before}},
		"well, and badly before":                       {cut: gone, again: &v1alpha1.Sealing{Found: 1, Epoch: 3, Data: v.sealed(t, 3), Was: &v1alpha1.SealedBefore{Epoch: 2, Data: junk}}},
		"not again to the present key yet":             {cut: gone, again: &v1alpha1.Sealing{Found: 1, Epoch: 2, Data: v.sealed(t, 2), Confirmed: "iad"}},
		"badly alone":                                  {cut: gone, again: &v1alpha1.Sealing{Found: 1, Epoch: 3, Data: junk}, why: "sealed for another key"},
		"to a key that is gone too":                    {cut: func(g *v1alpha1.RecipientGroup) { g.Status.Former = nil }, again: &v1alpha1.Sealing{Found: 1, Epoch: 2, Data: v.sealed(t, 2)}, why: "sealed for another key"},
		"a former key cannot be read, and a later one": {cut: func(g *v1alpha1.RecipientGroup) { g.Status.Former[1].Key = junk }, again: &v1alpha1.Sealing{Found: 1, Epoch: 3, Data: v.sealed(t, 3)}},
		"a former key cannot be read, and that alone":  {cut: func(g *v1alpha1.RecipientGroup) { g.Status.Former[1].Key = junk }, why: "the key 2 of group readers"},
	} {
		g := *v.group.DeepCopy()
		c.cut(&g)
		data, err := opened(v.own, g, shopDB, v.secret.Spec.Data, func() ([]*v1alpha1.Sealing, error) { return []*v1alpha1.Sealing{c.again}, c.fails })
		switch {
		case c.why == "" && (err != nil || string(data["password"]) != "canary-4711"):
			t.Errorf("%s: %d values: %v", name, len(data), err)
		case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What two clusters agreed on is tried first, then one's word; where two say something nobody's is.
func TestARecoveryKeyTriesAllThatWasSealedAgain(t *testing.T) {
	v := newVault(t)
	v.group.Status.Former = v.group.Status.Former[1:]
	other, err := secrets.Seal(v.keys[2].Recipient(), shopDB, map[string][]byte{"password": []byte("another")})
	if err != nil {
		t.Fatal(err)
	}
	good, gone := v.sealed(t, 3), v.sealed(t, 1)
	for name, c := range map[string]struct {
		again []*v1alpha1.Sealing
		why   string
	}{
		"the surest is of a key that is gone": {[]*v1alpha1.Sealing{{Found: 1, Epoch: 1, Confirmed: "iad", Data: gone, By: "fra"}, {Found: 1, Epoch: 3, Confirmed: "iad", Data: good, By: "fra"}}, ""},
		"or nobody can open it":               {[]*v1alpha1.Sealing{{Found: 1, Epoch: 3, Confirmed: "iad", Data: []byte("junk"), By: "fra"}, {Found: 1, Epoch: 3, Data: good, By: "fra"}}, ""},
		"one's word is another":               {[]*v1alpha1.Sealing{{Found: 1, Epoch: 3, Data: other, By: "mad"}, {Found: 1, Epoch: 3, Confirmed: "iad", Data: good, By: "fra"}}, ""},
		"so are two's":                        {[]*v1alpha1.Sealing{{Found: 1, Epoch: 3, Data: other, By: "mad"}, {Found: 1, Epoch: 3, Data: good, By: "fra"}}, "clusters mad and fra sealed it again, each something else, none of them confirmed"},
		"but not the same that two say":       {[]*v1alpha1.Sealing{{Found: 1, Epoch: 3, Data: v.sealed(t, 3), By: "mad"}, {Found: 1, Epoch: 3, Data: good, By: "fra"}}, ""},
		"nor one of a key that is gone":       {[]*v1alpha1.Sealing{{Found: 1, Epoch: 1, Data: gone, By: "mad"}, {Found: 1, Epoch: 3, Data: good, By: "fra"}}, ""},
		"one says that none opens it":         {[]*v1alpha1.Sealing{{Found: 1, Epoch: 3, Data: other, By: "mad", Words: []v1alpha1.SealedWord{{By: "fra", Epoch: 3, None: true}}}}, "cluster mad sealed it again, which nobody confirmed, and for fra no key opened it"},
	} {
		data, err := opened(v.own, v.group, shopDB, v.secret.Spec.Data, func() ([]*v1alpha1.Sealing, error) { return c.again, nil })
		if c.why == "" && (err != nil || string(data["password"]) != "canary-4711") || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %d values: %v", name, len(data), err)
		}
	}
}

func TestWhatWasSealedAgainIsAskedOfTheMember(t *testing.T) {
	v := newVault(t)
	v.group.Status.Former = nil
	again := v1alpha1.SecretSealing{BundleRevision: "secret.db-4711-081-2", Sealing: &v1alpha1.Sealing{Found: 1, Epoch: 3, Data: v.sealed(t, 3)}}
	other := again
	other.BundleRevision = "secret.db-4711-081-3"
	for name, c := range map[string]struct {
		serve func(http.ResponseWriter)
		why   string
	}{
		"it tells":            {func(w http.ResponseWriter) { answer(w, 200, again) }, ""},
		"of another revision": {func(w http.ResponseWriter) { answer(w, 200, other) }, "sealed for another key"},
		"nothing was": {func(w http.ResponseWriter) {
			answer(w, 200, v1alpha1.SecretSealing{BundleRevision: again.BundleRevision})
		}, "sealed for another key"},
		"an older one":            {func(w http.ResponseWriter) { refuse(w, 403, "Forbidden", "a member serves nothing there", nil) }, "sealed for another key"},
		"the secret is gone":      {func(w http.ResponseWriter) { refuse(w, 404, "NotFound", "the fleet has no such secret", nil) }, "sealed for another key"},
		"the member has a defect": {func(w http.ResponseWriter) { refuse(w, 500, "InternalError", "it cannot be read", nil) }, "it cannot be read"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.RequestURI() {
			case mustKind("FleetSecret").path("db"):
				answer(w, 200, v.secret)
			case mustKind("RecipientGroup").path("readers"):
				answer(w, 200, v.group)
			case "/hanse/v1/sealing?secret=db":
				c.serve(w)
			default:
				t.Errorf("it asks for %s", r.URL)
			}
		}))
		client, err := rest.UnversionedRESTClientFor(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{NegotiatedSerializer: statusOnly()}})
		if err != nil {
			t.Fatal(err)
		}
		f := &fleet{rest: client, server: server.URL}
		_, data, err := f.openSealed(t.Context(), "db", v.own)
		server.Close()
		switch {
		case c.why == "" && (err != nil || string(data["password"]) != "canary-4711"):
			t.Errorf("%s: %d values: %v", name, len(data), err)
		case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoOpensASecretIsToldWhatIsNotInIt(t *testing.T) {
	for want, spec := range map[string]v1alpha1.FleetSecretSpec{
		"": {Namespace: "shop", Type: "Opaque"},
		"note: not in this Secret, and lost when it is sealed again: spec.template; they are in hanse get fleetsecret db -o yaml\n": {Template: map[string]string{"a": "b"}},
		"note: not in this Secret, and lost when it is sealed again: spec.template, spec.also (seal it with --also), spec.notSecret; they are in hanse get fleetsecret db -o yaml\n": {
			Template: map[string]string{"a": "b"}, Also: []v1alpha1.FurtherSecret{{Namespace: "crm", Name: "db"}}, NotSecret: []string{"user"},
		},
	} {
		s := v1alpha1.FleetSecret{Spec: spec}
		s.Name = "db"
		var out bytes.Buffer
		tellLeftOut(&out, &s)
		if out.String() != want {
			t.Errorf("it says %q", out.String())
		}
	}
}

func TestWhoOpensASecretIsToldThatOthersMayReadTheKey(t *testing.T) {
	for mode, told := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o755: true} {
		file := filepath.Join(t.TempDir(), "recovery.key")
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		if tellWide(&said, file); strings.Contains(said.String(), "chmod 600 "+file) != told || (said.Len() > 0) != told {
			t.Errorf("%o: %q", mode, &said)
		}
	}
	var said strings.Builder
	if tellWide(&said, filepath.Join(t.TempDir(), "none")); said.Len() > 0 {
		t.Errorf("of no file: %q", &said)
	}
}
