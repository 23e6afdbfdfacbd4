package store

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// A log entry is a batch of commands:
//
//	byte 0   'H'
//	byte 1   format of the rest: 1, or 2 when it is compressed
//	byte 2…  1: a CBOR array (RFC 8949, core deterministic) of 1 to MaxCommands commands
//	         2: the length of that array (uvarint), and the array as a Zstandard frame (RFC 8878)
//
// Whoever makes an entry may choose either; how well it compresses is of no matter to anybody else. The limits are those of the entry in
// format 1.
//
// A command is a map with integer keys, absent where zero:
//
//	1  version of the command's meaning (uint; 0 is refused)
//	2  id: {1: incarnation of the proposer (text), 2: sequence (uint)}
//	3  proposer (text)            4  person (text)
//	5  term (uint)                6  time, Unix nanoseconds (int)
//	7  transaction: {1: [condition…], 2: [op…]}
//	8  chunk (bytes)              9  epoch (text)
//
// with condition {1: kind (1 key at, 2 key absent, 3 prefix unchanged), 2: key (text), 3: revision (uint)} and
// op {1: key (text), 2: value (bytes), 3: delete (bool), 4: [hash (32 bytes)…]}. Unknown keys are refused: what
// adds one must raise the version.
//
// History: 1, the first.
const (
	entryMagic  = 'H'
	entryFormat = 1
	entryPacked = 2
	entryHead   = 2
)

// CommandID tells the commands of one proposer apart, so that a repeated one is applied once.
type CommandID struct {
	// Incarnation is the member that proposes.
	Incarnation MemberID `cbor:"1,keyasint,omitempty"`
	// Seq counts the commands of the incarnation, from 1, across restarts. Commands may arrive in any order, within
	// the Window. 0: the outcome is not remembered, a repeated command is applied again.
	Seq uint64 `cbor:"2,keyasint,omitempty"`
}

// Command is one step of the state machine: a transaction or a chunk.
type Command struct {
	// Version that the proposer's fleet applied the log by; EncodeEntry turns 0 into 1. The command has the meaning of the
	// version that the fleet is at when it is applied, which may be newer.
	Version uint64    `cbor:"1,keyasint,omitempty"`
	ID      CommandID `cbor:"2,keyasint"`
	// Proposer is stamped by the leader from the connection that the command came over.
	Proposer MemberID `cbor:"3,keyasint,omitempty"`
	// Person is who asked the proposer, "" for the proposer itself. The proposer answers for it.
	Person string `cbor:"4,keyasint,omitempty"`
	// Term is set on decisions that only a leader takes: the command is void in an entry of any other term.
	Term uint64 `cbor:"5,keyasint,omitempty"`
	// Epoch goes with Term: the id of the epoch that the leader decided in.
	Epoch string `cbor:"9,keyasint,omitempty"`
	// Time is the leader's clock in Unix nanoseconds, stamped by it.
	Time int64 `cbor:"6,keyasint,omitempty"`
	// Exactly one of Txn and Chunk is set.
	Txn   *Txn   `cbor:"7,keyasint,omitempty"`
	Chunk []byte `cbor:"8,keyasint,omitempty"`
}

var (
	encoding = mustEncoding()
	decoding = mustDecoding(cbor.DecOptions{ExtraReturnErrors: cbor.ExtraDecErrorUnknownField})
	// peeking is lenient: what a newer version may do is not known here.
	peeking = mustDecMode(cbor.DecOptions{})
)

func mustEncoding() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}

func mustDecoding(opts cbor.DecOptions) cbor.DecMode {
	opts.DupMapKey = cbor.DupMapKeyEnforcedAPF
	opts.IndefLength = cbor.IndefLengthForbidden
	opts.TagsMd = cbor.TagsForbidden
	opts.MaxNestedLevels = 8
	opts.MaxArrayElements = 8192 // the hashes that fit into an entry are fewer
	opts.MaxMapPairs = 16
	return mustDecMode(opts)
}

func mustDecMode(opts cbor.DecOptions) cbor.DecMode {
	mode, err := opts.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}

// EncodeEntry makes a log entry of the commands, compressed if that pays. The error is ErrTooLarge when they do not fit, or an *Invalid for a
// command that could never be applied.
func EncodeEntry(commands []Command) ([]byte, error) {
	entry, err := plain(commands)
	if err != nil {
		return nil, err
	}
	return packed(entry)
}

// plain is an entry in format 1.
func plain(commands []Command) ([]byte, error) {
	if len(commands) == 0 || len(commands) > MaxCommands {
		return nil, fmt.Errorf("encode entry of %d commands: %w", len(commands), ErrTooLarge)
	}
	stamped := make([]Command, len(commands))
	for i, c := range commands {
		if c.Version == 0 {
			c.Version = firstVersion
		}
		if err := c.Validate(); err != nil {
			return nil, err
		}
		stamped[i] = c
	}
	body, err := encoding.Marshal(stamped)
	if err != nil {
		return nil, fmt.Errorf("encode entry: %w", err)
	}
	if entryHead+len(body) > MaxEntry {
		return nil, fmt.Errorf("encode entry of %d bytes: %w", entryHead+len(body), ErrTooLarge)
	}
	return append([]byte{entryMagic, entryFormat}, body...), nil
}

// DecodeEntry reads a log entry. The error is ErrNewerVersion or ErrMalformed. The commands share no memory with
// data; that they have the right shape (Command.Validate) is not checked.
func DecodeEntry(data []byte) ([]Command, error) { return decodeEntry(data, Version) }

func decodeEntry(data []byte, applies uint64) ([]Command, error) {
	switch {
	case len(data) > MaxEntry:
		return nil, fmt.Errorf("entry of %d bytes: %w", len(data), ErrMalformed)
	case len(data) < entryHead || data[0] != entryMagic || data[1] == 0:
		return nil, fmt.Errorf("entry without its head: %w", ErrMalformed)
	case data[1] > entryPacked:
		return nil, fmt.Errorf("entry of format %d: %w", data[1], ErrNewerVersion)
	}
	body := data[entryHead:]
	if data[1] == entryPacked {
		var err error
		if body, err = unpacked(body); err != nil {
			return nil, err
		}
	}
	if err := peekVersions(body, applies); err != nil {
		return nil, err
	}
	var commands []Command
	if err := decoding.Unmarshal(body, &commands); err != nil {
		return nil, fmt.Errorf("entry: %w: %w", ErrMalformed, err)
	}
	return commands, nil
}

// peekVersions finds a command of a newer version before the strict decoding stumbles over its unknown fields.
func peekVersions(body []byte, applies uint64) error {
	var heads []struct {
		Version uint64 `cbor:"1,keyasint"`
	}
	if err := peeking.Unmarshal(body, &heads); err != nil {
		return fmt.Errorf("entry: %w: %w", ErrMalformed, err)
	}
	if len(heads) == 0 || len(heads) > MaxCommands {
		return fmt.Errorf("entry of %d commands: %w", len(heads), ErrMalformed)
	}
	for _, h := range heads {
		if h.Version > applies {
			return fmt.Errorf("command of version %d: %w", h.Version, ErrNewerVersion)
		}
		if h.Version == 0 {
			return fmt.Errorf("command without version: %w", ErrMalformed)
		}
	}
	return nil
}

// Size is how many bytes the command takes in an entry, before that is compressed. An entry has room for MaxEntry-EntryOverhead of them.
func (c Command) Size() (int, error) {
	if c.Version == 0 {
		c.Version = firstVersion
	}
	b, err := encoding.Marshal(c)
	return len(b), err
}

// EntryOverhead is what an entry adds to its commands at most.
const EntryOverhead = 16
