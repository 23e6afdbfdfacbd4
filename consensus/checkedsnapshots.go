package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// A snapshot's content on the disk is a head, the state as the store writes it, and a checksum, so that what raft keeps
// of a snapshot beside its content is covered too. Only the state leaves the member.
//
//	bytes 1-7    "HANSESN"
//	byte  8      version of the format, 1
//	bytes 9-40   raft's version of the snapshot, index, term, index of the configuration
//	bytes 41-44  length of the configuration, then the configuration, as raft encodes it
//	             the state
//	last 8 bytes CRC-64 (ECMA) of everything before
//
// History: 1, the first.
const (
	contentMagic   = "HANSESN"
	contentVersion = 1
	contentFixed   = len(contentMagic) + 1 + 4*8 + 4
	sumSize        = 8
)

func contentHead(m *raft.SnapshotMeta) []byte {
	b := append([]byte(contentMagic), contentVersion)
	for _, n := range []uint64{uint64(m.Version), m.Index, m.Term, m.ConfigurationIndex} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	c := raft.EncodeConfiguration(m.Configuration)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(c))), c...)
}

// checkedSnapshots is a raft.SnapshotStore that gives back what was written, or a DamagedError. It knows of the newest
// snapshot only: an older one would do as well, but not on a disk that lost the newer.
type checkedSnapshots struct {
	inner  raft.SnapshotStore
	newest *atomic.Uint64 // its index
}

func (s checkedSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.inner.Create(v, index, term, c, ci, t)
	if err != nil {
		return nil, err
	}
	checked := &checkedSink{SnapshotSink: sink, index: index, newest: s.newest}
	head := contentHead(&raft.SnapshotMeta{Version: v, Index: index, Term: term, Configuration: c, ConfigurationIndex: ci})
	if _, err := checked.Write(head); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return checked, nil
}

// List returns the newest snapshot's meta, checked against its head, if there is one.
func (s checkedSnapshots) List() ([]*raft.SnapshotMeta, error) {
	metas, err := s.inner.List()
	if err != nil || len(metas) == 0 {
		return nil, err
	}
	meta, r, err := s.Open(metas[0].ID)
	if err != nil {
		return nil, err
	}
	return []*raft.SnapshotMeta{meta}, r.Close()
}

// Open checks the head at once, and the rest as it is read: the last byte comes only when the checksum is right.
func (s checkedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	inner, r, err := s.inner.Open(id)
	if err != nil && s.madeWay(id) {
		return nil, nil, fmt.Errorf("snapshot %s has made way for a newer one: %w", id, err)
	}
	if err != nil {
		return nil, nil, damagedSnapshot(id, "%v", err)
	}
	c := &checkedContent{id: id, from: r}
	meta := *inner
	if err := c.begin(&meta); err != nil {
		r.Close()
		return nil, nil, err
	}
	meta.Peers = nil // nobody needs what the head does not cover
	return &meta, c, nil
}

// madeWay says whether a snapshot is gone because newer ones took its place, as happens between a List and an Open.
func (s checkedSnapshots) madeWay(id string) bool {
	metas, err := s.inner.List()
	return err == nil && len(metas) > 0 && metas[0].Index == s.newest.Load() &&
		!slices.ContainsFunc(metas, func(m *raft.SnapshotMeta) bool { return m.ID == id })
}

// verify reads the newest snapshot to its end. It returns nil, nil when there is none.
func (s checkedSnapshots) verify() (*raft.SnapshotMeta, error) {
	metas, err := s.List()
	if err != nil || len(metas) == 0 {
		return nil, err
	}
	_, r, err := s.Open(metas[0].ID)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	s.newest.Store(metas[0].Index)
	return metas[0], nil
}

type checkedSink struct {
	raft.SnapshotSink
	sum    uint64
	index  uint64
	newest *atomic.Uint64
	closed bool
}

func (s *checkedSink) Write(p []byte) (int, error) {
	n, err := s.SnapshotSink.Write(p)
	s.sum = crc64.Update(s.sum, sumTable, p[:n])
	return n, err
}

func (s *checkedSink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if _, err := s.SnapshotSink.Write(binary.BigEndian.AppendUint64(nil, s.sum)); err != nil {
		return errors.Join(err, s.Cancel())
	}
	if err := s.SnapshotSink.Close(); err != nil {
		return err
	}
	s.newest.Store(max(s.newest.Load(), s.index))
	return nil
}

// checkedContent reads a state out of a snapshot's content.
type checkedContent struct {
	id   string
	from io.ReadCloser
	left int64 // of the state
	sum  uint64
	err  error
}

// begin reads the head, compares it with what is kept beside the content, and leaves the state's size there.
func (c *checkedContent) begin(m *raft.SnapshotMeta) error {
	want := contentHead(m)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c.from, got); err != nil || !bytes.Equal(got, want) {
		return damagedSnapshot(c.id, "its head and raft's meta differ")
	}
	if m.Size < int64(len(want)+sumSize) || m.Size == math.MaxInt64 {
		return damagedSnapshot(c.id, "it is too short")
	}
	m.Size -= int64(len(want) + sumSize)
	c.left = m.Size
	c.sum = crc64.Update(0, sumTable, got)
	if c.left == 0 {
		c.err = c.end()
	}
	return nil
}

func (c *checkedContent) Read(p []byte) (int, error) {
	if c.left == 0 || c.err != nil || len(p) == 0 {
		return 0, c.over()
	}
	p = p[:min(int64(len(p)), c.left)]
	n, err := c.from.Read(p)
	c.sum = crc64.Update(c.sum, sumTable, p[:n])
	c.left -= int64(n)
	switch {
	case c.left == 0:
		c.err = c.end()
	case errors.Is(err, io.EOF):
		c.err = damagedSnapshot(c.id, "it ends early")
	case err != nil:
		c.err = err
	}
	if c.err != nil {
		return 0, c.err
	}
	return n, nil
}

func (c *checkedContent) over() error {
	if c.err != nil {
		return c.err
	}
	return io.EOF
}

// end checks what is behind the state.
func (c *checkedContent) end() error {
	var tail [sumSize + 1]byte
	n, err := io.ReadFull(c.from, tail[:])
	if n != sumSize || !errors.Is(err, io.ErrUnexpectedEOF) || binary.BigEndian.Uint64(tail[:]) != c.sum {
		return damagedSnapshot(c.id, "its checksum differs")
	}
	return nil
}

func (c *checkedContent) Close() error { return c.from.Close() }
