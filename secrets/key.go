package secrets

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
)

// Keys are hybrid: ML-KEM-768 and X25519 together. What is sealed lies in the log of every member, in its backups too, so it must also
// resist whoever copies it today and has a quantum computer later.
const (
	recipientPrefix = "age1pq1"
	secretPrefix    = "AGE-SECRET-KEY-"
	// maxKeyText is more than any key has, as text.
	maxKeyText = 4096
)

// Identity is a private key.
type Identity struct{ key *age.HybridIdentity }

// Recipient is the public key of an Identity. The zero value is none.
type Recipient struct{ key *age.HybridRecipient }

// NewIdentity makes a key.
func NewIdentity() (Identity, error) {
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		return Identity{}, fmt.Errorf("make age identity: %w", err)
	}
	return Identity{key}, nil
}

// Recipient is the public part.
func (i Identity) Recipient() Recipient { return Recipient{i.key.Recipient()} }

// Reveal is the key itself, as text. It belongs into the file of its owner, or into a wrap, and nowhere else.
func (i Identity) Reveal() string { return i.key.String() }

// String keeps the key out of whatever prints it.
func (i Identity) String() string { return "(an age identity)" }

// GoString keeps the key out of whatever prints it.
func (i Identity) GoString() string { return i.String() }

// ParseIdentity reads what Reveal wrote. The error says nothing of the text.
func ParseIdentity(text string) (Identity, error) {
	if len(text) > maxKeyText {
		return Identity{}, errors.New("it is too long for an age identity")
	}
	key, err := age.ParseHybridIdentity(text)
	if err != nil {
		return Identity{}, errors.New("it is no post-quantum age identity (AGE-SECRET-KEY-PQ-1…)")
	}
	return Identity{key}, nil
}

// String is the public key as people write it: age1pq1….
func (r Recipient) String() string {
	if r.key == nil {
		return ""
	}
	return r.key.String()
}

// ParseRecipient reads a public key. The error says what is wrong, and never repeats the text: it may have been a private key.
func ParseRecipient(text string) (Recipient, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Recipient{}, errors.New("there is no recipient")
	case strings.HasPrefix(text, secretPrefix):
		return Recipient{}, errors.New("that is a secret key, not a recipient; its recipient is the line that begins with age1pq1")
	case len(text) > maxKeyText:
		return Recipient{}, errors.New("it is too long for an age recipient")
	case strings.HasPrefix(text, recipientPrefix):
		key, err := age.ParseHybridRecipient(text)
		if err != nil {
			return Recipient{}, errors.New("the recipient is damaged: a letter is missing or wrong; copy it as a whole")
		}
		return Recipient{key}, nil
	case strings.HasPrefix(text, "age1") && strings.Count(text, "1") == 1, strings.HasPrefix(text, "ssh-"):
		return Recipient{}, errors.New("that recipient is not safe from quantum computers; take one that begins with age1pq1 (age-keygen -pq)")
	case strings.HasPrefix(text, "age1"):
		return Recipient{}, errors.New("that recipient needs a plugin, which members do not have; take one that begins with age1pq1")
	}
	return Recipient{}, errors.New("it is no age recipient (age1pq1…)")
}
