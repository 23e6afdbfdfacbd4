package store

import (
	"encoding/hex"
	"fmt"
)

// MemberID is the incarnation id of a member: a UUID made with each fresh data directory, never reused.
type MemberID string

// Revision counts the transactions that changed the store. It is the store's own counter, not a raft index, and
// the resourceVersion of every object in it. 0 is the empty store.
type Revision uint64

// KV is one key as it was at some revision.
type KV struct {
	Key string
	// Value is never changed in place; callers must not change it either.
	Value    []byte
	Created  Revision
	Modified Revision
}

// A Condition must hold for a transaction to be applied. Make one with KeyAt, KeyAbsent or PrefixUnchanged.
type Condition struct {
	Kind     ConditionKind `cbor:"1,keyasint"`
	Key      string        `cbor:"2,keyasint"` // the key, or the prefix
	Revision Revision      `cbor:"3,keyasint,omitempty"`
}

// ConditionKind tells the three forms of a Condition apart. The numbers are part of the log's format.
type ConditionKind uint8

// The three forms of a Condition.
const (
	conditionKeyAt           ConditionKind = 1
	conditionKeyAbsent       ConditionKind = 2
	conditionPrefixUnchanged ConditionKind = 3
)

// KeyAt holds while the key's last change was at revision at.
func KeyAt(key string, at Revision) Condition {
	return Condition{Kind: conditionKeyAt, Key: key, Revision: at}
}

// KeyAbsent holds while there is no such key.
func KeyAbsent(key string) Condition { return Condition{Kind: conditionKeyAbsent, Key: key} }

// PrefixUnchanged holds while no key with the prefix was written or deleted after revision since, but for what the Authorizer says is of no
// matter to the transaction (Indifferent).
func PrefixUnchanged(prefix string, since Revision) Condition {
	return Condition{Kind: conditionPrefixUnchanged, Key: prefix, Revision: since}
}

func (c Condition) String() string {
	switch c.Kind {
	case conditionKeyAt:
		return fmt.Sprintf("%s at %d", c.Key, c.Revision)
	case conditionKeyAbsent:
		return c.Key + " absent"
	case conditionPrefixUnchanged:
		return fmt.Sprintf("%s* unchanged since %d", c.Key, c.Revision)
	}
	return fmt.Sprintf("condition of unknown kind %d", c.Kind)
}

// Op puts or deletes one key. Make one with Put or Delete.
type Op struct {
	Key    string `cbor:"1,keyasint"`
	Value  []byte `cbor:"2,keyasint,omitempty"`
	Delete bool   `cbor:"3,keyasint,omitempty"`
	// Chunks, when set, stand for the value: the hashes of chunks written before, in order. The node that
	// proposes sets it for large values; nobody else does.
	Chunks []Hash `cbor:"4,keyasint,omitempty"`
}

// Put writes the value.
func Put(key string, value []byte) Op { return Op{Key: key, Value: value} }

// Delete removes the key; removing one that is not there is no error.
func Delete(key string) Op { return Op{Key: key, Delete: true} }

// Txn is applied whole or not at all: if every condition holds, every op is applied, at one revision.
type Txn struct {
	If   []Condition `cbor:"1,keyasint,omitempty"`
	Then []Op        `cbor:"2,keyasint,omitempty"`
}

// Hash is the SHA-256 of a chunk.
type Hash [32]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalBinary makes a hash a byte string wherever it is encoded.
func (h Hash) MarshalBinary() ([]byte, error) { return h[:], nil }

// UnmarshalBinary takes exactly 32 bytes.
func (h *Hash) UnmarshalBinary(b []byte) error {
	if len(b) != len(h) {
		return fmt.Errorf("hash of %d bytes", len(b))
	}
	copy(h[:], b)
	return nil
}
