package transport

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hanse-fleet/hanse/internal/durable"
)

// The files of an identity. All are PEM, mode 0600. The certificate is written last: where it is, the others are.
const (
	keyFile   = "identity.key"
	resetFile = "identity.reset"
	certFile  = "identity.crt"

	keyBlock   = "PRIVATE KEY"
	resetBlock = "HANSE RESET SECRET"
	certBlock  = "CERTIFICATE"
)

// SaveIdentity writes the identity's files into dir, each of them whole or not at all, and synced. A directory that
// has an identity already is left alone: the error is fs.ErrExist then.
func SaveIdentity(dir string, id Identity) error {
	if id.key == nil {
		return fmt.Errorf("save identity: it is empty")
	}
	if _, err := os.Lstat(filepath.Join(dir, certFile)); err == nil {
		return fmt.Errorf("save identity in %q: %w", dir, fs.ErrExist)
	}
	key, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	files := []struct {
		name, block string
		content     []byte
	}{{keyFile, keyBlock, key}, {resetFile, resetBlock, id.reset[:]}, {certFile, certBlock, id.der}}
	for _, f := range files {
		encoded := pem.EncodeToMemory(&pem.Block{Type: f.block, Bytes: f.content})
		if _, err := durable.WriteFile(filepath.Join(dir, f.name), durable.Bytes(encoded)); err != nil {
			return fmt.Errorf("save identity: %w", err)
		}
	}
	return nil
}

// LoadIdentity reads what SaveIdentity wrote. The error is fs.ErrNotExist for a directory without an identity.
func LoadIdentity(dir string) (Identity, error) {
	der, err := readPEM(dir, certFile, certBlock)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	key, err := loadKey(dir)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	secret, err := readPEM(dir, resetFile, resetBlock)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	if len(secret) != 32 {
		return Identity{}, fmt.Errorf("load identity: %s: %d bytes instead of 32", resetFile, len(secret))
	}
	id, err := newIdentity(der, key, [32]byte(secret))
	if err != nil {
		return Identity{}, fmt.Errorf("load identity from %q: %w", dir, err)
	}
	return id, nil
}

// RemoveIdentity removes the identity's files from dir, the certificate first. Those that are not there are no error.
func RemoveIdentity(dir string) error {
	var errs []error
	for _, name := range []string{certFile, resetFile, keyFile} {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

func loadKey(dir string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(dir, keyFile, keyBlock)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: want an ECDSA key, got %T", keyFile, parsed)
	}
	return key, nil
}

func readPEM(dir, name, block string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	decoded, _ := pem.Decode(raw)
	if decoded == nil || decoded.Type != block {
		return nil, fmt.Errorf("%s: want a PEM block %q", name, block)
	}
	return decoded.Bytes, nil
}
