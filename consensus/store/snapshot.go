package store

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// A snapshot is a head and frames:
//
//	bytes 0-6  "HANSEST"
//	byte  7    version of the format, 1
//	frames     kind (1 byte), length of the payload (4 bytes, big endian), payload
//
// The payload of every frame but the last is a CBOR map with integer keys, core deterministic, absent where zero.
// The kinds come in this order, and the frames of one kind in ascending order of what they are about:
//
//	'H' one      {1: revision, 2: time, 3: floor of the recent changes, 4: version that the fleet is at,
//	              5: index of the last log entry, 6: epoch {1: number, 2: id (text), 3: the revision it began at}}
//	'C' by hash  {1: data, 2: time when written, if no key refers to it}
//	'K' by key   {1: key, 2: created, 3: modified, 4: value, 5: [hash…] instead of the value}
//	'R' by rev.  {1: revision, 2: [key…] that it changed}
//	'S' by id    {1: incarnation, 2: newest sequence}, followed by its
//	'O' by seq.  {1: sequence, 2: result, as EncodeResult writes it}
//	'E' one      the SHA-256 of everything before this frame
//
// Counts of references, the membership and the pins follow from the keys and are not written. Nothing comes after 'E'.
//
// History: 1, the first.
const (
	snapshotMagic  = "HANSEST"
	snapshotFormat = 1

	frameHeader  = 'H'
	frameChunk   = 'C'
	frameKey     = 'K'
	frameRecent  = 'R'
	frameSession = 'S'
	frameOutcome = 'O'
	frameEnd     = 'E'

	// maxFrame bounds what a reader allocates. The largest frame, the keys of one revision, is made of one entry.
	maxFrame = 2 * MaxEntry
)

type headerFrame struct {
	Revision Revision `cbor:"1,keyasint,omitempty"`
	Time     int64    `cbor:"2,keyasint,omitempty"`
	Floor    Revision `cbor:"3,keyasint,omitempty"`
	Version  uint64   `cbor:"4,keyasint,omitempty"`
	Index    uint64   `cbor:"5,keyasint,omitempty"`
	Epoch    Epoch    `cbor:"6,keyasint,omitzero"`
}

type chunkFrame struct {
	Data    []byte `cbor:"1,keyasint"`
	Written int64  `cbor:"2,keyasint,omitempty"`
}

type keyFrame struct {
	Key      string   `cbor:"1,keyasint"`
	Created  Revision `cbor:"2,keyasint"`
	Modified Revision `cbor:"3,keyasint"`
	Value    []byte   `cbor:"4,keyasint,omitempty"`
	Chunks   []Hash   `cbor:"5,keyasint,omitempty"`
}

type recentFrame struct {
	Revision Revision `cbor:"1,keyasint"`
	Keys     []string `cbor:"2,keyasint"`
}

type sessionFrame struct {
	Incarnation MemberID `cbor:"1,keyasint,omitempty"`
	Newest      uint64   `cbor:"2,keyasint"`
}

type outcomeFrame struct {
	Seq    uint64     `cbor:"1,keyasint"`
	Result flatResult `cbor:"2,keyasint"`
}

// Snapshot is the state of a store at one moment. Taking it costs nothing.
type Snapshot struct{ view *View }

// Snapshot takes one; Apply may go on meanwhile.
func (s *Store) Snapshot() *Snapshot { return &Snapshot{view: s.View()} }

// View is what the snapshot holds.
func (s *Snapshot) View() *View { return s.view }

// WriteTo writes the snapshot. Stores that applied the same log write the same bytes.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	buffered := bufio.NewWriterSize(w, 64<<10)
	f := &frameWriter{to: buffered, sum: sha256.New()}
	f.write(append([]byte(snapshotMagic), snapshotFormat))
	v := s.view
	f.frame(frameHeader, headerFrame{Revision: v.revision, Time: v.time, Floor: v.recent.floor, Version: v.version, Index: v.index, Epoch: v.epoch})
	f.chunks(v.chunks)
	for e := range v.entries("", "") {
		f.key(e)
	}
	for key, keys := range all(v.recent.byRevision) {
		f.frame(frameRecent, recentFrame{Revision: Revision(binary.BigEndian.Uint64(key)), Keys: keys})
	}
	f.sessions(v.sessions)
	f.raw(frameEnd, f.sum.Sum(nil))
	if f.err == nil {
		f.err = buffered.Flush()
	}
	if f.err != nil {
		return f.n, fmt.Errorf("write snapshot: %w", f.err)
	}
	return f.n, nil
}

// all goes over a tree in the order of its keys.
func all[T any](tree *iradix.Tree[T]) iter.Seq2[[]byte, T] {
	return func(yield func([]byte, T) bool) {
		it := tree.Root().Iterator()
		for key, value, ok := it.Next(); ok && yield(key, value); key, value, ok = it.Next() {
		}
	}
}

// frameWriter does nothing any more after its first error.
type frameWriter struct {
	to  io.Writer
	sum hash.Hash
	n   int64
	err error
}

func (f *frameWriter) write(b []byte) {
	if f.err != nil {
		return
	}
	f.sum.Write(b)
	var n int
	n, f.err = f.to.Write(b)
	f.n += int64(n)
}

func (f *frameWriter) raw(kind byte, payload []byte) {
	f.write(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload))))
	f.write(payload)
}

func (f *frameWriter) frame(kind byte, value any) {
	if f.err != nil {
		return
	}
	payload, err := encoding.Marshal(value)
	if err != nil {
		f.err = err
		return
	}
	f.raw(kind, payload)
}

func (f *frameWriter) chunks(c chunks) {
	for _, ch := range all(c.byHash) {
		f.frame(frameChunk, chunkFrame{Data: ch.data, Written: ch.written})
	}
}

func (f *frameWriter) key(e *entry) {
	f.frame(frameKey, keyFrame{
		Key: e.key, Created: e.created, Modified: e.modified, Value: e.value, Chunks: e.hashes(),
	})
}

func (f *frameWriter) sessions(s sessions) {
	for id, known := range all(s.byMember) {
		f.frame(frameSession, sessionFrame{Incarnation: MemberID(id), Newest: known.newest})
		for key, result := range all(known.outcomes) {
			f.outcome(binary.BigEndian.Uint64(key), result)
		}
	}
}

func (f *frameWriter) outcome(seq uint64, r Result) {
	flat, err := flatten(r)
	if err != nil && f.err == nil {
		f.err = err
	}
	f.frame(frameOutcome, outcomeFrame{Seq: seq, Result: flat})
}
