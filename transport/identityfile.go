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

	"github.com/hanse-fleet/hanse/atrest"
)

// The files of an identity. All are PEM, mode 0600, and what is private is encrypted where the directory is. The certificate is written
// last: where it is, the others are.
const (
	keyFile   = "identity.key"
	resetFile = "identity.reset"
	certFile  = "identity.crt"

	keyBlock   = "PRIVATE KEY"
	resetBlock = "HANSE RESET SECRET"
	certBlock  = "CERTIFICATE"
)

// SaveIdentity writes the identity's files into dir, whose key it is, each of them whole or not at all, and synced. A directory that
// has an identity already is left alone: the error is fs.ErrExist then.
func SaveIdentity(dir string, private *atrest.Key, id Identity) error {
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
	defer clear(key)
	files := []struct {
		with        *atrest.Key
		name, block string
		content     []byte
	}{{private, keyFile, keyBlock, key}, {private, resetFile, resetBlock, id.reset[:]}, {inTheClear, certFile, certBlock, id.der}}
	for _, f := range files {
		if err := writePEM(f.with.WriteFile, filepath.Join(dir, f.name), f.block, f.content); err != nil {
			return fmt.Errorf("save identity: %w", err)
		}
	}
	return nil
}

// inTheClear is how certificates lie, so that everybody can say whose a directory is.
var inTheClear *atrest.Key

// LoadIdentity reads what SaveIdentity wrote. The error is fs.ErrNotExist for a directory without an identity.
func LoadIdentity(dir string, private *atrest.Key) (Identity, error) {
	der, err := readPEM(inTheClear.ReadFile, dir, certFile, certBlock)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	key, err := loadKey(private, dir)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	secret, err := readPEM(private.ReadFile, dir, resetFile, resetBlock)
	defer clear(secret)
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

func loadKey(private *atrest.Key, dir string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(private.ReadFile, dir, keyFile, keyBlock)
	if err != nil {
		return nil, err
	}
	return parseKey(der)
}

// parseKey reads the file of a key, and clears it.
func parseKey(der []byte) (*ecdsa.PrivateKey, error) {
	defer clear(der)
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

// writePEM writes a block, and clears the text of it.
func writePEM(write func(path string, text []byte) error, path, block string, content []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: block, Bytes: content})
	defer clear(text)
	return write(path, text)
}

// readPEM is what a block in a file holds. Its text is cleared.
func readPEM(read func(path string) ([]byte, error), dir, name, block string) ([]byte, error) {
	text, err := read(filepath.Join(dir, name))
	defer clear(text)
	if err != nil {
		return nil, err
	}
	decoded, _ := pem.Decode(text)
	if decoded == nil || decoded.Type != block {
		return nil, fmt.Errorf("%s: want a PEM block %q", name, block)
	}
	return decoded.Bytes, nil
}
