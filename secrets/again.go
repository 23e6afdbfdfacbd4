package secrets

import (
	"bytes"
	"errors"
)

// Again seals what a key opens to another recipient, as it is.
func Again(with Identity, to Recipient, t Target, sealed []byte) ([]byte, error) {
	body, err := decrypt(with, t.String(), sealed)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	return encrypt(to, t.String(), body)
}

// Sealed is what is sealed, and the key that opens it.
type Sealed struct {
	Key  Identity
	Data []byte
}

// Same checks that two hold the same for a target. No error has any of it.
func Same(t Target, a, b Sealed) error {
	one, err := decrypt(a.Key, t.String(), a.Data)
	if err != nil {
		return err
	}
	defer clear(one)
	other, err := decrypt(b.Key, t.String(), b.Data)
	if err != nil {
		return err
	}
	defer clear(other)
	if !bytes.Equal(one, other) {
		return errors.New("it holds something else")
	}
	return nil
}
