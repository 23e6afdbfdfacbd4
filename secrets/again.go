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

// Differing are, of several that are sealed for a target, the first that opens, -1 for none, and those that open, too, and hold something else.
func Differing(t Target, all []Sealed) (first int, other []int) {
	first = -1
	var of []byte
	defer func() { clear(of) }()
	for i, one := range all {
		text, err := decrypt(one.Key, t.String(), one.Data)
		switch {
		case err != nil:
			continue
		case first < 0:
			first, of = i, text
			continue
		case !bytes.Equal(of, text):
			other = append(other, i)
		}
		clear(text)
	}
	return first, other
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
