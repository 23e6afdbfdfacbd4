package aggregate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"
)

func TestACertificateIsGoodForWhatTheSameKeyRegisteredBefore(t *testing.T) {
	key := newKey(t)
	before, after, other := served(t, key), served(t, key), served(t, newKey(t))
	for name, c := range map[string]struct {
		bundle []byte
		want   bool
	}{
		"its own": {after.bundle, true}, "an earlier one of its key": {before.bundle, true},
		"another key's": {other.bundle, false}, "nothing": {nil, false},
	} {
		if got := vouches(c.bundle, after.Leaf); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestARegistrationKeepsABundleThatVouches(t *testing.T) {
	key := newKey(t)
	a := &Aggregation{certificate: served(t, key)}
	for name, c := range map[string]struct {
		there serving
		keeps bool
	}{"after a restart": {served(t, key), true}, "of another incarnation": {served(t, newKey(t)), false}} {
		found := registration(backend{port: 7947}, "acme/fra", c.there.bundle).wanted
		wanted := registration(backend{port: 7947}, "acme/fra", a.certificate.bundle).wanted
		a.keepBundle(wanted, found)
		if got := cmp.Equal(wanted.Object["spec"], found.Object["spec"]); got != c.keeps {
			t.Errorf("%s: kept %v", name, got)
		}
	}
}

func TestTheWayToAMemberFitsItsAddress(t *testing.T) {
	for address, want := range map[string][]string{
		"10.1.2.3:7947":    {"ClusterIP", "IPv4 10.1.2.3"},
		"[2001:db8::1]:80": {"ClusterIP", "IPv6 2001:db8::1"},
		"127.1.1.1:7947":   {"ExternalName 127.1.1.1"},
		"169.254.1.1:7947": {"ExternalName 169.254.1.1"},
		"fra.example:7947": {"ExternalName fra.example"},
	} {
		b, err := parseBackend(address)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, described(route(b, "acme/fra"))); diff != "" {
			t.Errorf("%s: %s", address, diff)
		}
	}
	for _, bad := range []string{"", "fra", "fra:", ":7947", "fra:0", "fra:65536", "fra:https"} {
		if b, err := parseBackend(bad); err == nil {
			t.Errorf("%q is %v", bad, b)
		}
	}
}

func described(objects []object) (words []string) {
	for _, o := range objects {
		if o.resource == services {
			kind, _, _ := unstructured.NestedString(o.wanted.Object, "spec", "type")
			name, _, _ := unstructured.NestedString(o.wanted.Object, "spec", "externalName")
			words = append(words, strings.TrimSpace(kind+" "+name))
			continue
		}
		family, _, _ := unstructured.NestedString(o.wanted.Object, "addressType")
		endpoints, _, _ := unstructured.NestedSlice(o.wanted.Object, "endpoints")
		words = append(words, family+" "+endpoints[0].(map[string]any)["addresses"].([]any)[0].(string))
	}
	return words
}

func TestOnlyWhatTheMemberMarkedIsItsOwn(t *testing.T) {
	for owner, want := range map[string]bool{"acme/fra": true, "acme/iad": false, "other/fra": false, "": false} {
		found := registration(backend{}, owner, nil).wanted
		if err := foreign(found, "acme/fra"); (err == nil) != want || err != nil && !errors.Is(err, ErrForeign) {
			t.Errorf("marked %q: %v", owner, err)
		}
	}
}

func TestOnlyTheFrontProxyIsBelievedAboutWhoAsks(t *testing.T) {
	authority, stranger := newAuthority(t), newAuthority(t)
	trusted := map[string]string{
		"requestheader-client-ca-file": string(authority.pem), "requestheader-allowed-names": `["front-proxy-client"]`,
		"requestheader-username-headers": `["X-Remote-User"]`, "requestheader-group-headers": `["X-Remote-Group"]`,
		"requestheader-uid-headers": `["X-Remote-Uid"]`, "requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
	}
	p := new(frontProxy)
	ask := func(cert *x509.Certificate) user.Info {
		r := &http.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}, Header: http.Header{
			"X-Remote-User": {"jane"}, "X-Remote-Group": {"devs", "ops"}, "X-Remote-Uid": {"u1"}, "X-Remote-Extra-Scope": {"x"},
		}}
		answer, ok, err := p.AuthenticateRequest(r)
		if !ok || err != nil {
			return nil
		}
		return answer.User
	}
	proxy := authority.issue(t, "front-proxy-client")
	if got := ask(proxy); got != nil {
		t.Errorf("believed before anything was read: %v", got)
	}
	var err error
	trust, err := readTrust(trusted)
	if err != nil {
		t.Fatal(err)
	}
	p.trust.Store(trust)
	want := &user.DefaultInfo{Name: "jane", UID: "u1", Groups: []string{"devs", "ops"}, Extra: map[string][]string{"scope": {"x"}}}
	if diff := cmp.Diff(user.Info(want), ask(proxy)); diff != "" {
		t.Error(diff)
	}
	for name, cert := range map[string]*x509.Certificate{
		"another name": authority.issue(t, "jane"), "another authority": stranger.issue(t, "front-proxy-client"),
	} {
		if got := ask(cert); got != nil {
			t.Errorf("%s: believed: %v", name, got)
		}
	}
}

func TestATrustThatCannotBeReadIsNone(t *testing.T) {
	authority := newAuthority(t)
	for name, data := range map[string]map[string]string{
		"empty":        nil,
		"no authority": {"requestheader-client-ca-file": "none"},
		"no list":      {"requestheader-client-ca-file": string(authority.pem), "requestheader-allowed-names": "front-proxy-client"},
	} {
		a := &Aggregation{frontProxy: new(frontProxy)}
		a.trust.Store(new(trust))
		fields := map[string]any{}
		for k, v := range data {
			fields[k] = v
		}
		if err := a.believe(&unstructured.Unstructured{Object: map[string]any{"data": fields}}); err == nil || a.trust.Load() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, found := range map[string]*unstructured.Unstructured{
		"gone": nil, "of another shape": {Object: map[string]any{"data": map[string]any{"requestheader-client-ca-file": int64(1)}}},
	} {
		a := &Aggregation{frontProxy: new(frontProxy)}
		a.trust.Store(new(trust))
		if err := a.believe(found); err == nil || a.Known() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func served(t *testing.T, key crypto.Signer) serving {
	t.Helper()
	c, err := newServing(key, "acme/fra")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type authority struct {
	key  crypto.Signer
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: newKey(t)}
	a.cert = sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, a.key, a.key)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	return a
}

func (a authority) issue(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	return sign(t, template, a.cert, newKey(t), a.key)
}

func sign(t *testing.T, template, parent *x509.Certificate, key, by crypto.Signer) *x509.Certificate {
	t.Helper()
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
