package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
)

// ServerName is the DNS name in every member's certificate. Clients of a member's API use it as TLS server name,
// because a member's addresses may change and its certificate does not.
const ServerName = "member.hanse"

// Identity is a member's key, its self-signed certificate, and the secret behind its stateless resets. Two of them
// with one pin must never run at the same time. The zero value is no identity.
type Identity struct {
	fleet   string
	cluster string
	id      MemberID
	pin     Pin
	der     []byte
	key     *ecdsa.PrivateKey
	reset   [32]byte
}

// NewIdentity makes a fresh key and its certificate, in memory. SaveIdentity keeps it.
func NewIdentity(fleet, cluster string, id MemberID) (Identity, error) {
	if err := checkNames(fleet, cluster, id); err != nil {
		return Identity{}, fmt.Errorf("make identity: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make key: %w", err)
	}
	der, err := selfSign(key, fleet, cluster, id)
	if err != nil {
		return Identity{}, fmt.Errorf("sign certificate: %w", err)
	}
	var reset [32]byte
	rand.Read(reset[:]) // never fails: see crypto/rand
	return newIdentity(der, key, reset)
}

func checkNames(fleet, cluster string, id MemberID) error {
	if err := checkName("fleet", fleet); err != nil {
		return err
	}
	if err := checkName("cluster", cluster); err != nil {
		return err
	}
	return checkMemberID(id)
}

// selfSign makes a certificate that never expires: what ends it is the withdrawal of its pin. It is not valid before
// a fixed day rather than before now, so that a clock that was wrong at `init` does no harm.
func selfSign(key *ecdsa.PrivateKey, fleet, cluster string, id MemberID) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: string(id)},
		URIs:                  []*url.URL{spiffe(fleet, cluster)},
		DNSNames:              []string{ServerName},
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // of what Serving makes, and of nothing else
		MaxPathLenZero:        true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
}

// Serving is the identity for serving the member's API at a host, a name or an IP address: the same key, and a certificate
// that names the host beside ServerName. Clients that know no other server name than the host trust it by the identity's
// certificate too.
func (i Identity) Serving(host string) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make serving certificate: %w", err)
	}
	issuer, err := x509.ParseCertificate(i.der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make serving certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: string(i.id), OrganizationalUnit: []string{"api"}},
		DNSNames:     []string{ServerName},
		NotBefore:    issuer.NotBefore, NotAfter: issuer.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &i.key.PublicKey, i.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make serving certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der, i.der}, PrivateKey: i.key}, nil
}

func spiffe(fleet, cluster string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: fleet, Path: "/member/" + cluster}
}

// newIdentity puts an identity together from its parts and checks that they belong together.
func newIdentity(der []byte, key *ecdsa.PrivateKey, reset [32]byte) (Identity, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Identity{}, fmt.Errorf("parse certificate: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return Identity{}, fmt.Errorf("key and certificate do not belong together")
	}
	id := Identity{id: MemberID(cert.Subject.CommonName), pin: PinOf(cert), der: der, key: key, reset: reset}
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != "spiffe" {
		return Identity{}, fmt.Errorf("certificate names no member")
	}
	id.fleet = cert.URIs[0].Host
	id.cluster = strings.TrimPrefix(cert.URIs[0].Path, "/member/")
	if err := checkNames(id.fleet, id.cluster, id.id); err != nil {
		return Identity{}, fmt.Errorf("certificate: %w", err)
	}
	return id, nil
}

// Fleet is the fleet's name.
func (i Identity) Fleet() string { return i.fleet }

// Cluster is the name of the cluster whose member this is.
func (i Identity) Cluster() string { return i.cluster }

// ID is the incarnation id.
func (i Identity) ID() MemberID { return i.id }

// Pin is what others know this identity by.
func (i Identity) Pin() Pin { return i.pin }

// Certificate is the certificate in DER. Callers must not change it.
func (i Identity) Certificate() []byte { return i.der }

// TLS is the identity for crypto/tls, private key included; the member's API is served with it.
func (i Identity) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.der}, PrivateKey: i.key}
}

// String keeps the private parts out of logs.
func (i Identity) String() string { return fmt.Sprintf("%s (%s)", spiffe(i.fleet, i.cluster), i.id) }

// statelessResetKey is derived, so that the file could serve other purposes too. It is the same after a restart,
// which is its point: peers learn of the restart in one round trip.
func (i Identity) statelessResetKey() (*quic.StatelessResetKey, error) {
	derived, err := hkdf.Key(sha256.New, i.reset[:], nil, "hanse quic stateless reset", 32)
	if err != nil {
		return nil, fmt.Errorf("derive reset key: %w", err)
	}
	key := quic.StatelessResetKey(derived)
	return &key, nil
}
