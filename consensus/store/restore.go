package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Restore replaces the state by a snapshot, whole or not at all. The error is ErrNewerVersion, ErrMalformed, or the
// reader's. The history begins anew: watchers that do not stand at the snapshot's very revision get ErrCompacted.
func (s *Store) Restore(r io.Reader) error {
	v, err := s.read(r)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	s.replace(v)
	return nil
}

// Advance is Restore, unless the store has applied as much of the log as the snapshot has: then it does nothing.
func (s *Store) Advance(r io.Reader) error {
	v, err := s.read(r)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	if v.index > s.View().index {
		s.replace(v)
	}
	return nil
}

// Verify reads a snapshot to its end and says whether it is whole, by its checksum, without keeping any of it. The error is
// as Restore's. What the frames say is not looked at.
func Verify(r io.Reader) error {
	in := &frameReader{from: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	if err := in.head(); err != nil {
		return fmt.Errorf("verify snapshot: %w", err)
	}
	for {
		kind, _, err := in.next()
		if err == nil && kind == frameEnd {
			err = in.end()
		}
		if err != nil {
			return fmt.Errorf("verify snapshot: %w", err)
		}
		if kind == frameEnd {
			return nil
		}
	}
}

func (s *Store) replace(v *View) {
	if s.faults.RevisionReused && v.revision > 0 {
		v.revision--
	}
	h := s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	s.view.Store(v)
	h.reset(v.revision)
	h.wake()
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// read makes a state of a snapshot.
func (s *Store) read(r io.Reader) (*View, error) {
	in := &frameReader{from: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	if err := in.head(); err != nil {
		return nil, err
	}
	b := builder{view: *newView(s.auth), applies: s.Applies()}
	b.keys = b.view.keys.Txn()
	for {
		kind, payload, err := in.next()
		if err != nil {
			return nil, err
		}
		if kind == frameEnd && b.kind != 0 {
			b.view.keys = b.keys.Commit()
			return &b.view, errors.Join(b.seal(), b.versioned(), in.end())
		}
		if err := b.add(kind, payload); err != nil {
			return nil, err
		}
	}
}

// frameReader checks the frames' outsides.
type frameReader struct {
	from   *bufio.Reader
	sum    hash.Hash
	before [sha256.Size]byte // the sum before the latest frame
	last   []byte            // payload of the latest frame
}

func (f *frameReader) head() error {
	head := make([]byte, len(snapshotMagic)+1)
	if err := f.read(head); err != nil {
		return err
	}
	version := head[len(snapshotMagic)]
	switch {
	case string(head[:len(snapshotMagic)]) != snapshotMagic || version == 0:
		return malformed("no snapshot")
	case version > snapshotFormat:
		return fmt.Errorf("format %d: %w", version, ErrNewerVersion)
	}
	return nil
}

// read fills b. A snapshot that ends early is malformed, a reader that fails is not.
func (f *frameReader) read(b []byte) error {
	_, err := io.ReadFull(f.from, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("it ends early")
	}
	f.sum.Write(b)
	return err
}

func (f *frameReader) next() (byte, []byte, error) {
	f.sum.Sum(f.before[:0])
	var head [5]byte
	if err := f.read(head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, malformed("frame of %d bytes", size)
	}
	f.last = make([]byte, size)
	return head[0], f.last, f.read(f.last)
}

// end checks the latest frame as the last one.
func (f *frameReader) end() error {
	if !bytes.Equal(f.last, f.before[:]) {
		return malformed("wrong checksum")
	}
	if _, err := f.from.ReadByte(); err == nil {
		return malformed("it goes on after its end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// builder makes a View of frames. What it checks is what the rest of the package relies on; that the content is what
// a store wrote is what the checksum is for.
type builder struct {
	view    View
	applies uint64 // the newest version that the program can apply
	keys    *iradix.Txn[*entry]
	kind    byte   // of the latest frame
	order   []byte // what the latest frame was about, to see that they ascend
	id      MemberID
	known   session
}

func (b *builder) add(kind byte, payload []byte) error {
	if !b.follows(kind) {
		return malformed("frame %q after %q", kind, b.kind)
	}
	if b.kind != kind {
		b.order = nil
	}
	b.kind = kind
	switch kind {
	case frameHeader:
		return take(payload, b.header)
	case frameChunk:
		return take(payload, b.chunk)
	case frameKey:
		return take(payload, b.key)
	case frameRecent:
		return take(payload, b.recent)
	case frameSession:
		return take(payload, b.session)
	}
	return take(payload, b.outcome)
}

func take[T any](payload []byte, use func(T) error) error {
	var frame T
	if err := decoding.Unmarshal(payload, &frame); err != nil {
		return malformed("%v", err)
	}
	return use(frame)
}

// follows says whether a frame may come after the latest one. Sessions and their outcomes alternate.
func (b *builder) follows(kind byte) bool {
	const order = "HCKRSO"
	at, was := strings.IndexByte(order, kind), strings.IndexByte(order, b.kind)
	switch {
	case at < 0 || b.kind == 0 && kind != frameHeader || b.kind != 0 && kind == frameHeader:
		return false
	case kind == frameOutcome:
		return b.kind == frameSession || b.kind == frameOutcome
	case kind == frameSession:
		return true
	}
	return at >= was
}

// ascends says whether a frame is about something later than the one of its kind before.
func (b *builder) ascends(about []byte) bool {
	ok := b.order == nil || bytes.Compare(about, b.order) > 0
	b.order = about
	return ok
}

func (b *builder) header(f headerFrame) error {
	if f.Version > b.applies {
		return fmt.Errorf("a log of version %d: %w", f.Version, ErrNewerVersion)
	}
	if f.Floor > f.Revision || f.Time < 0 || f.Version == 0 || f.Epoch.Began > f.Revision || (f.Epoch.Number == 0) != (f.Epoch.ID == "") {
		return malformed("header")
	}
	b.view.revision, b.view.time, b.view.version = f.Revision, f.Time, f.Version
	b.view.recent.floor, b.view.index, b.view.epoch = f.Floor, f.Index, f.Epoch
	return nil
}

func (b *builder) chunk(f chunkFrame) error {
	h := Hash(sha256.Sum256(f.Data))
	if !b.ascends(h[:]) || invalidChunk(f.Data) != nil || f.Written < 0 || f.Written > b.view.time {
		return malformed("chunk %s", h)
	}
	b.view.chunks = b.view.chunks.tie(h, &chunk{data: f.Data, written: f.Written})
	return nil
}

func (b *builder) key(f keyFrame) error {
	op := Op{Key: f.Key, Value: f.Value, Chunks: f.Chunks}
	if err := op.invalid(); err != nil || !b.ascends([]byte(f.Key)) {
		return malformed("key %q", cut(f.Key))
	}
	if f.Created > f.Modified || f.Modified > b.view.revision || f.Created == 0 {
		return malformed("revisions of key %q", f.Key)
	}
	e := &entry{key: f.Key, created: f.Created, modified: f.Modified, value: f.Value}
	if len(f.Chunks) > 0 {
		if err := b.referable(f); err != nil {
			return err
		}
		e.large, e.value = b.view.chunks.assemble(f.Chunks), nil
		b.view.chunks = b.view.chunks.recount([]change{{entry: e}})
	}
	if e.size() > MaxValue {
		return malformed("size of key %q", f.Key)
	}
	b.keys.Insert([]byte(f.Key), e)
	b.view.terms = b.view.terms.follow([]change{{key: f.Key, entry: e}})
	return b.enrol(e)
}

// referable says whether the chunks of a key are there, and not said to be loose.
func (b *builder) referable(f keyFrame) error {
	for _, h := range f.Chunks {
		if ch, ok := b.view.chunks.get(h); !ok || ch.written != 0 {
			return malformed("chunk %s of key %q", h, f.Key)
		}
	}
	return nil
}

// enrol reads the membership from its keys, of which those of members come first.
func (b *builder) enrol(e *entry) error {
	if !isRoster(e.key) {
		return nil
	}
	var err *Invalid
	if strings.HasPrefix(e.key, KeyMembers) {
		_, err = parseMember(e.key, e.bytes())
	} else {
		_, err = parseRemoved(e.key, e.bytes())
	}
	if err != nil {
		return malformed("%s", err.Reason)
	}
	b.view.roster = b.view.roster.put(e.key, e.bytes())
	return nil
}

func (b *builder) recent(f recentFrame) error {
	if !b.ascends(revisionKey(f.Revision)) || f.Revision <= b.view.recent.floor || f.Revision > b.view.revision ||
		len(f.Keys) == 0 {
		return malformed("recent changes of revision %d", f.Revision)
	}
	b.view.recent = b.view.recent.load(f.Revision, f.Keys)
	return nil
}

func (b *builder) session(f sessionFrame) error {
	if b.known.outcomes != nil && f.Incarnation <= b.id {
		return malformed("order of session %q", cut(string(f.Incarnation)))
	}
	if err := b.seal(); err != nil {
		return err
	}
	b.id, b.known = f.Incarnation, session{newest: f.Newest, outcomes: iradix.New[Result]()}
	return nil
}

func (b *builder) outcome(f outcomeFrame) error {
	r, err := f.Result.result()
	if err != nil {
		return err
	}
	key := sequenceKey(f.Seq)
	if !b.ascends(key) || f.Seq < b.known.oldest() || f.Seq > b.known.newest || r.Revision > b.view.revision {
		return malformed("outcome %d of %q", f.Seq, cut(string(b.id)))
	}
	b.known.outcomes, _, _ = b.known.outcomes.Insert(key, r)
	return nil
}

// versioned says whether the version that the header has is the one that lies in the state.
func (b *builder) versioned() error {
	want := firstVersion
	if kv, ok := b.view.Get(KeyVersion); ok {
		want, _ = strconv.Atoi(string(kv.Value))
	}
	if b.view.version != uint64(want) {
		return malformed("version %d in the header, %d in the state", b.view.version, want)
	}
	return nil
}

// seal puts the session that was read into its place.
func (b *builder) seal() error {
	if b.known.outcomes == nil {
		return nil
	}
	if b.known.outcomes.Len() == 0 {
		return malformed("session %q without outcomes", cut(string(b.id)))
	}
	b.view.sessions.byMember, _, _ = b.view.sessions.byMember.Insert([]byte(b.id), b.known)
	return nil
}
