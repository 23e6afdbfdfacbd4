package aggregate

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// serving is what kube-apiserver is shown, and what vouches for it.
type serving struct {
	tls.Certificate
	bundle []byte // PEM
}

// newServing makes a certificate for ServerName, issued by an authority of the same key. Any authority that the key made
// before vouches for it too, so that a registration stays good over restarts.
func newServing(key crypto.Signer, owner string) (serving, error) {
	authority, err := issue(key, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: authorityName(owner)}, KeyUsage: x509.KeyUsageCertSign, IsCA: true,
	})
	if err != nil {
		return serving{}, fmt.Errorf("make serving certificate: %w", err)
	}
	leaf, err := issue(key, authority, &x509.Certificate{
		Subject: pkix.Name{CommonName: ServerName}, DNSNames: []string{ServerName},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return serving{}, fmt.Errorf("make serving certificate: %w", err)
	}
	return serving{
		Certificate: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		bundle:      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw}),
	}, nil
}

// authorityName says whose key an authority is of.
func authorityName(owner string) string { return "hanse " + owner }

// issue signs one certificate that never expires: what ends it is another registration. No parent: it signs itself.
func issue(key crypto.Signer, parent, template *x509.Certificate) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.BasicConstraintsValid = serial, true
	template.NotBefore = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	template.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// vouches says whether a kube-apiserver that trusts the bundle believes the certificate.
func vouches(bundle []byte, leaf *x509.Certificate) bool {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return false
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: ServerName})
	return err == nil
}
