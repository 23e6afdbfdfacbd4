package atrest

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Key encrypts what is private in one data directory. nil is of a directory in the clear: files are read and written as they are, and
// nothing else can be asked of it.
type Key struct{ aead cipher.AEAD }

// newKey takes over what a data-key.age holds.
func newKey(data []byte) (*Key, error) {
	aead, err := chacha20poly1305.NewX(data)
	if err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	return &Key{aead}, nil
}

// errSealed does not say which of the two it is: nobody can tell.
var errSealed = errors.New("it is damaged, or belongs elsewhere")

// Overhead is how much longer a piece is when it is encrypted.
const Overhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// Encrypt encrypts a piece that belongs into a place. No two kinds of places may have a name in common.
func (k *Key) Encrypt(piece []byte, place string) []byte {
	out := make([]byte, chacha20poly1305.NonceSizeX, len(piece)+Overhead)
	rand.Read(out) // never fails: see crypto/rand
	return k.aead.Seal(out, out, piece, []byte(place))
}

// Decrypt is the piece that was encrypted for this place.
func (k *Key) Decrypt(encrypted []byte, place string) ([]byte, error) {
	if len(encrypted) < Overhead {
		return nil, errSealed
	}
	nonce, rest := encrypted[:chacha20poly1305.NonceSizeX], encrypted[chacha20poly1305.NonceSizeX:]
	piece, err := k.aead.Open(nil, nonce, rest, []byte(place))
	if err != nil {
		return nil, errSealed
	}
	return piece, nil
}

// String keeps the key out of whatever prints it.
func (k *Key) String() string { return "(a data key)" }
