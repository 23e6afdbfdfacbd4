package store

import (
	"errors"
	"fmt"
	"strings"
)

// Result is the outcome of one command.
type Result struct {
	// Revision is the one that the command made, or the store's when the command changed nothing.
	Revision Revision
	// Err is nil or why nothing was changed: *Conflict, *Forbidden, *Invalid, *MissingChunks, ErrStaleTerm or
	// ErrTooOld.
	Err error
}

// Conflict says which condition did not hold.
type Conflict struct {
	// Index of the condition in Txn.If.
	Index     int
	Condition Condition
	// Current is the key as it is, without its value; nil when there is none. For a prefix it is a key that changed;
	// nil when that was deleted, or when the revision is too long ago to tell.
	Current *KV
}

func (c *Conflict) Error() string {
	if c.Current == nil {
		return fmt.Sprintf("conflict: not %s", c.Condition)
	}
	return fmt.Sprintf("conflict: not %s: %s is at %d", c.Condition, c.Current.Key, c.Current.Modified)
}

// Forbidden says why the asker may not do what the transaction does. An Authorizer returns one; any other error of
// it becomes one.
type Forbidden struct{ Reason string }

func (f *Forbidden) Error() string { return "forbidden: " + f.Reason }

// Invalid says why the command could not be applied by anyone: it breaks a limit, or a rule of the membership.
type Invalid struct{ Reason string }

func (i *Invalid) Error() string { return "invalid: " + i.Reason }

// MissingChunks lists the chunks that the transaction refers to and the store does not have (any more). It is not
// remembered: write them and repeat the same command.
type MissingChunks struct{ Hashes []Hash }

func (m *MissingChunks) Error() string { return fmt.Sprintf("%d chunks are missing", len(m.Hashes)) }

// invalidf never sees an error's text of another package: reasons are part of the replicated state.
func invalidf(format string, args ...any) *Invalid {
	return &Invalid{Reason: cut(fmt.Sprintf(format, args...))}
}

// forbidden makes any error of an Authorizer one that fits into the state.
func forbidden(err error) *Forbidden {
	var f *Forbidden
	if errors.As(err, &f) {
		return &Forbidden{Reason: cut(f.Reason)}
	}
	return &Forbidden{Reason: cut(err.Error())}
}

// cut bounds a reason, and makes it text.
func cut(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), MaxReason)], "")
}

// The codes of outcomes, part of the snapshot's format.
const (
	codeDone uint8 = iota
	codeConflict
	codeForbidden
	codeInvalid
	codeMissingChunks
	codeStaleTerm
	codeTooOld
)

// flatResult is a Result as it is encoded.
type flatResult struct {
	Revision  Revision   `cbor:"1,keyasint,omitempty"`
	Code      uint8      `cbor:"2,keyasint,omitempty"`
	Reason    string     `cbor:"3,keyasint,omitempty"`
	Index     int        `cbor:"4,keyasint,omitempty"`
	Condition *Condition `cbor:"5,keyasint,omitempty"`
	Current   *flatHead  `cbor:"6,keyasint,omitempty"`
	Hashes    []Hash     `cbor:"7,keyasint,omitempty"`
}

// flatHead is a KV without its value.
type flatHead struct {
	Key      string   `cbor:"1,keyasint"`
	Created  Revision `cbor:"2,keyasint"`
	Modified Revision `cbor:"3,keyasint"`
}

// EncodeResult makes a result portable, for an answer to another member: a CBOR map
// {1: revision, 2: code, 3: reason, 4: index, 5: condition, 6: {1: key, 2: created, 3: modified}, 7: [hash…]}.
func EncodeResult(r Result) ([]byte, error) {
	flat, err := flatten(r)
	if err != nil {
		return nil, err
	}
	return encoding.Marshal(flat)
}

// DecodeResult reads what EncodeResult wrote.
func DecodeResult(data []byte) (Result, error) {
	var flat flatResult
	if err := decoding.Unmarshal(data, &flat); err != nil {
		return Result{}, fmt.Errorf("result: %w: %w", ErrMalformed, err)
	}
	return flat.result()
}

func flatten(r Result) (flatResult, error) {
	flat := flatResult{Revision: r.Revision}
	switch err := r.Err.(type) {
	case nil:
	case *Conflict:
		flat.Code, flat.Index, flat.Condition = codeConflict, err.Index, &err.Condition
		if kv := err.Current; kv != nil {
			flat.Current = &flatHead{Key: kv.Key, Created: kv.Created, Modified: kv.Modified}
		}
	case *Forbidden:
		flat.Code, flat.Reason = codeForbidden, err.Reason
	case *Invalid:
		flat.Code, flat.Reason = codeInvalid, err.Reason
	case *MissingChunks:
		flat.Code, flat.Hashes = codeMissingChunks, err.Hashes
	default:
		return flat, flat.sentinel(r.Err)
	}
	return flat, nil
}

func (f *flatResult) sentinel(err error) error {
	switch {
	case errors.Is(err, ErrStaleTerm):
		f.Code = codeStaleTerm
	case errors.Is(err, ErrTooOld):
		f.Code = codeTooOld
	default:
		return fmt.Errorf("encode result: no code for: %w", err)
	}
	return nil
}

func (f flatResult) result() (Result, error) {
	r := Result{Revision: f.Revision}
	switch f.Code {
	case codeDone:
	case codeConflict:
		if f.Condition == nil {
			return r, fmt.Errorf("conflict without condition: %w", ErrMalformed)
		}
		c := &Conflict{Index: f.Index, Condition: *f.Condition}
		if h := f.Current; h != nil {
			c.Current = &KV{Key: h.Key, Created: h.Created, Modified: h.Modified}
		}
		r.Err = c
	case codeForbidden:
		r.Err = &Forbidden{Reason: f.Reason}
	case codeInvalid:
		r.Err = &Invalid{Reason: f.Reason}
	case codeMissingChunks:
		r.Err = &MissingChunks{Hashes: f.Hashes}
	case codeStaleTerm:
		r.Err = ErrStaleTerm
	case codeTooOld:
		r.Err = ErrTooOld
	default:
		return r, fmt.Errorf("result of code %d: %w", f.Code, ErrNewerVersion)
	}
	return r, nil
}
