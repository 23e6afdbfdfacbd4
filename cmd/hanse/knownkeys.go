package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// knownKeys are the pins that a kubeconfig knows clusters' members by. Nil is that of who asks by a socket, where the member
// asked is trusted with everything.
type knownKeys map[string]string

// keysIn are those of a fleet's members in a kubeconfig, whatever its contexts are called: a certificate says whose it is. When
// several say the same, the one counts under whose name hanse kubeconfig has written it.
func keysIn(config *clientcmdapi.Config, fleet string) knownKeys {
	known := knownKeys{}
	for _, name := range slices.Sorted(maps.Keys(config.Clusters)) {
		m, err := memberIn(trusted(config.Clusters[name]))
		if err != nil || m.fleet != fleet {
			continue // another kind of cluster, or another fleet's
		}
		if known[m.cluster] == "" || name == m.cluster {
			known[m.cluster] = m.pin
		}
	}
	return known
}

// trusted is what a kubeconfig trusts for a cluster, PEM. A file that cannot be read knows nobody.
func trusted(c *clientcmdapi.Cluster) []byte {
	if len(c.CertificateAuthorityData) > 0 || c.CertificateAuthority == "" {
		return c.CertificateAuthorityData
	}
	text, _ := os.ReadFile(c.CertificateAuthority)
	return text
}

// memberKey is how a member is known: by its key. The certificate is that key's, and trusts nobody else.
type memberKey struct{ fleet, cluster, pin, certificate string }

// memberIn reads the certificate of a member, PEM. It is one and nothing else: who trusts a text trusts all that is in it.
func memberIn(text []byte) (k memberKey, err error) {
	bad := errors.New("want one certificate, PEM, and nothing beside it")
	block, _ := pem.Decode(text)
	if block == nil {
		return k, bad
	}
	alone := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})
	if !bytes.Equal(bytes.TrimSpace(alone), bytes.TrimSpace(text)) {
		return k, bad
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return k, err
	}
	k.pin, k.certificate = v1alpha1.PinOf(parsed.RawSubjectPublicKeyInfo), string(alone)
	if len(parsed.URIs) == 1 && parsed.URIs[0].Scheme == "spiffe" {
		k.fleet, k.cluster = parsed.URIs[0].Host, strings.TrimPrefix(parsed.URIs[0].Path, "/member/")
	}
	return k, nil
}

// key is that of a cluster's member: what the member asked says, as long as it is the one that the kubeconfig knows. One that it
// does not know is taken on that member's word, and this is said.
func (r *reach) key(cluster string) (memberKey, error) {
	i := slices.IndexFunc(r.members.Members, func(m v1alpha1.MemberServer) bool { return m.Cluster == cluster })
	if i < 0 {
		return memberKey{}, fmt.Errorf("the fleet has no member of a cluster %q", cluster)
	}
	told, err := memberIn([]byte(r.members.Members[i].Certificate))
	if err != nil {
		return told, fmt.Errorf("%s says how the member of %s is known, and it makes no sense: %w", r.members.Member, cluster, err)
	}
	switch known, ok := r.known[cluster]; {
	case !ok && r.known != nil:
		fmt.Fprintf(r.talk, "warning: the kubeconfig does not know %s; its key is taken on %s's word: a new hanse kubeconfig, made beside a member that you trust, knows it\n", cluster, r.members.Member)
	case ok && known != told.pin:
		return told, &failure{code: exitError, why: r.members.Member + " says that the member of " + cluster + " has another key than the kubeconfig knows",
			hints: []hint{{"should it have joined anew, make a new kubeconfig beside a member that you trust", "kubeconfig > FILE"}}}
	}
	return told, nil
}
