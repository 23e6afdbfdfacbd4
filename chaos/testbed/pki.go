package testbed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Files of a cluster's pki folder. The authority's key is used once and not kept.
const (
	fileCA             = "ca.crt"
	fileServing        = "serving.crt"
	fileServingKey     = "serving.key"
	fileAdmin          = "admin.crt"
	fileAdminKey       = "admin.key"
	fileControllers    = "controllers.crt"
	fileControllersKey = "controllers.key"
	fileAccountsKey    = "service-accounts.key"
)

// Files of a cluster's front-proxy folder: an authority of its own, since whoever holds one of its certificates may
// name anybody.
const (
	fileProxy    = "client.crt"
	fileProxyKey = "client.key"
)

// proxyName is the one name that extension API servers believe of the front proxy's authority.
const proxyName = "front-proxy-client"

// makePKI makes the cluster's certificates.
func makePKI(dir string, address netip.Addr) error {
	return makeCertificates(dir, func(dir string) error { return writePKI(dir, address) })
}

// makeFrontProxy makes the certificate by which extension API servers know the cluster's kube-apiserver.
func makeFrontProxy(dir string) error {
	return makeCertificates(dir, func(dir string) error {
		ca, err := newAuthority()
		if err != nil {
			return err
		}
		client := x509.Certificate{Subject: pkix.Name{CommonName: proxyName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		return errors.Join(
			os.WriteFile(filepath.Join(dir, fileCA), pemBlock("CERTIFICATE", ca.cert.Raw), 0o600),
			ca.issue(dir, fileProxy, fileProxyKey, client),
		)
	})
}

// makeCertificates fills a folder, whole or not at all; one that is there already stays.
func makeCertificates(dir string, write func(dir string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make certificates: %w", err)
	}
	if err := errors.Join(os.RemoveAll(part(dir)), os.MkdirAll(part(dir), 0o700)); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	if err := write(part(dir)); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	if err := os.Rename(part(dir), dir); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	return nil
}

func writePKI(dir string, address netip.Addr) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	_, accounts, err := newKey()
	if err != nil {
		return err
	}
	serving := x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{address.AsSlice()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, fileCA), pemBlock("CERTIFICATE", ca.cert.Raw), 0o600),
		os.WriteFile(filepath.Join(dir, fileAccountsKey), accounts, 0o600),
		ca.issue(dir, fileServing, fileServingKey, serving),
		ca.issue(dir, fileAdmin, fileAdminKey, clientCertificate("admin")),
		ca.issue(dir, fileControllers, fileControllersKey, clientCertificate("system:kube-controller-manager")),
	)
}

// clientCertificate is of a user that may do everything.
func clientCertificate(user string) x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority() (authority, error) {
	key, _, err := newKey()
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "hanse testbed"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert: cert, key: key}, err
}

// issue writes a new key and its certificate.
func (a authority) issue(dir, certFile, keyFile string, template x509.Certificate) error {
	key, keyPEM, err := newKey()
	if err != nil {
		return err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return err
	}
	template.NotBefore, template.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, keyFile), keyPEM, 0o600),
		os.WriteFile(filepath.Join(dir, certFile), pemBlock("CERTIFICATE", der), 0o600),
	)
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return key, pemBlock("EC PRIVATE KEY", der), err
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
