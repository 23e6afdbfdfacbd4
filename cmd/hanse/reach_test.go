package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// certificateOf is the certificate of a new key of a cluster's member, PEM.
func certificateOf(t *testing.T, fleet, cluster string) string {
	t.Helper()
	block, _ := pem.Decode(certified(t, fleet, cluster))
	return string(pem.EncodeToMemory(block))
}

// A member that is asked could say X's real certificate and its own beside it, and then be X.
func TestWhatIsTrustedForAMemberIsOneKey(t *testing.T) {
	x, m := certificateOf(t, "acme", "x"), certificateOf(t, "acme", "m")
	key, err := memberIn([]byte(x))
	if err != nil || key.cluster != "x" || key.fleet != "acme" || key.certificate != x {
		t.Errorf("%+v, %v", key, err)
	}
	for name, bad := range map[string]string{
		"another one behind it": x + m, "another one before it": m + x, "nothing": "", "no PEM": "x", "text before it": "x\n" + x, "text behind it": x + "x",
		"another one before it that is broken off": strings.Replace(m, "-----END", "", 1) + x,
		"no certificate": strings.ReplaceAll(x, "CERTIFICATE", "PUBLIC KEY"),
		"headers":        strings.Replace(x, "-----\n", "-----\nA: b\n\n", 1),
	} {
		if key, err := memberIn([]byte(bad)); err == nil {
			t.Errorf("%s: %+v is taken", name, key)
		}
	}
}

func TestAnotherKeyThanTheKubeconfigKnowsIsRefused(t *testing.T) {
	x, m := certificateOf(t, "acme", "x"), certificateOf(t, "acme", "m")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.pem"), []byte(x), 0o600); err != nil {
		t.Fatal(err)
	}
	inline := func(text string) *clientcmdapi.Cluster {
		return &clientcmdapi.Cluster{CertificateAuthorityData: []byte(text)}
	}
	cases := map[string]struct {
		kubeconfig    map[string]*clientcmdapi.Cluster // nil over a socket
		told          string
		refused, said string
	}{
		"over a socket":                       {nil, m, "", ""},
		"the key that is known":               {map[string]*clientcmdapi.Cluster{"x": inline(x)}, x, "", ""},
		"another key":                         {map[string]*clientcmdapi.Cluster{"x": inline(x)}, m, "another key", ""},
		"another key beside the one":          {map[string]*clientcmdapi.Cluster{"x": inline(x)}, x + m, "makes no sense", ""},
		"another key, known by another name":  {map[string]*clientcmdapi.Cluster{"prod": inline(x), "m": inline(m)}, m, "another key", ""},
		"another key, known from a file":      {map[string]*clientcmdapi.Cluster{"x": {CertificateAuthority: filepath.Join(dir, "x.pem")}}, m, "another key", ""},
		"one that calls itself another":       {map[string]*clientcmdapi.Cluster{"a": inline(certificateOf(t, "acme", "x")), "x": inline(x)}, x, "", ""},
		"nobody is known of that name":        {map[string]*clientcmdapi.Cluster{"m": inline(m)}, x, "", "does not know x; its key is taken on m's word"},
		"another fleet has one of that name":  {map[string]*clientcmdapi.Cluster{"x": inline(certificateOf(t, "other", "x"))}, x, "", "does not know x"},
		"a cluster of that name is no member": {map[string]*clientcmdapi.Cluster{"x": inline("-----BEGIN")}, x, "", "does not know x"},
	}
	for name, c := range cases {
		var talk bytes.Buffer
		r := &reach{talk: &talk, members: v1alpha1.MemberList{Fleet: "acme", Member: "m", Members: []v1alpha1.MemberServer{{Cluster: "x", Certificate: c.told}}}}
		if c.kubeconfig != nil {
			r.known = keysIn(&clientcmdapi.Config{Clusters: c.kubeconfig}, "acme")
		}
		_, err := r.key("x")
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v", name, err)
		}
		if (talk.Len() == 0) != (c.said == "") || !strings.Contains(talk.String(), c.said) {
			t.Errorf("%s: said %q", name, talk.String())
		}
	}
}

// Who answers has the key, whatever its certificate says and whoever signed it.
func TestWhoHasNotTheKeyIsNotTheMember(t *testing.T) {
	f := newFar(t, 2)
	f.servers["c01"] = f.servers["c00"] // the way leads to another member
	got := f.hanse(t.Context(), "get", "pods", "--all-clusters")
	if got.code != exitDiffers || !strings.Contains(got.talk, "c01: who answers for c01 has not the key of its member") || strings.Contains(got.out, "c01") {
		t.Errorf("%+v", got)
	}
}

func TestTheWayToAClusterIsThroughTheMemberAndNoProxy(t *testing.T) {
	f := newFar(t, 1)
	c := &reach{fleet: &fleet{socket: filepath.Join(f.dir, socketName)}, talk: io.Discard}
	c.members = v1alpha1.MemberList{Member: "c00", ServerName: "member.hanse", Members: []v1alpha1.MemberServer{{Cluster: "c00", Certificate: f.told["c00"]}}}
	pair, err := readCredential(nil, filepath.Join(f.dir, adminFile))
	if err != nil {
		t.Fatal(err)
	}
	c.person = &clientcmdapi.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}
	line, err := c.open(context.Background(), "c00")
	if err != nil {
		t.Fatal(err)
	}
	defer line.hangUp()
	if carrier, ok := line.Transport.(introduced).RoundTripper.(*http.Transport); !ok || carrier.Proxy != nil {
		t.Error("a proxy would be asked")
	}
}

// What a dead cluster had is known all the same.
func TestWhoDoesNotReachAClusterIsToldWhatToDo(t *testing.T) {
	f := newFar(t, 2)
	f.most = 0 // no way leads anywhere
	t.Setenv("KUBECTL", "true")
	for _, args := range [][]string{{"logs", "--cluster", "c01", "web"}, {"kubectl", "--cluster", "c01", "--", "get", "pods"}} {
		got := f.hanse(t.Context(), args...)
		if got.code != exitError || !strings.Contains(got.talk, "\n  see which members are heard: hanse status\n") ||
			!strings.Contains(got.talk, "\n  see what was last known of c01: hanse get works -l fleet.hanse.dev/cluster=c01 -o wide\n") {
			t.Errorf("%s: %+v", args[0], got)
		}
	}
}
