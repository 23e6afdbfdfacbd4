package secrets

import (
	"fmt"
	"strings"
)

// Key names one of the private keys that a group has had.
type Key struct {
	Fleet, Group string
	Epoch        int64
}

// String is the key as the first line of its wraps has it.
func (k Key) String() string { return fmt.Sprintf("key %s/%s/%d", k.Fleet, k.Group, k.Epoch) }

// Wrap encrypts the private key of a group to a member of it.
func Wrap(to Recipient, k Key, key Identity) ([]byte, error) {
	return encryptAll(to, k.String(), []byte(key.Reveal()))
}

// Unwrap decrypts the private key of a group. It is the one of that recipient, or an error.
func Unwrap(with Identity, k Key, recipient string, wrap []byte) (Identity, error) {
	text, err := decrypt(with, k.String(), wrap)
	if err != nil {
		return Identity{}, err
	}
	return unwrapped(text, k, recipient)
}

// Recover is Unwrap for a person, whatever the fleet is called: one may have been restored under another name.
func Recover(with Identity, k Key, recipient string, wrap []byte) (Identity, error) {
	ofGroup := func(of string) bool {
		return strings.HasPrefix(of, "key ") && strings.HasSuffix(of, fmt.Sprintf("/%s/%d", k.Group, k.Epoch))
	}
	text, ok, err := decryptIf(with, ofGroup, wrap)
	if err == nil && !ok {
		err = fmt.Errorf("it is not key %d of group %s", k.Epoch, k.Group)
	}
	if err != nil {
		return Identity{}, err
	}
	return unwrapped(text, k, recipient)
}

// unwrapped is the key of the recipient, of its text, which is cleared.
func unwrapped(text []byte, k Key, recipient string) (Identity, error) {
	defer clear(text)
	key, err := ParseIdentity(string(text))
	if err != nil {
		return Identity{}, err
	}
	if key.Recipient().String() != recipient {
		return Identity{}, fmt.Errorf("it is not the private key of the recipient of %s", k)
	}
	return key, nil
}
