package consensus

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/atrest"
)

// encrypted puts a data key under stores: what is written is encrypted when it has its checksum already, and what is read is decrypted
// before that is checked. So all that holds of the disk holds of an encrypted one, and what does not decrypt is damage. A nil key leaves
// the stores as they are.
//
//	entry     Data is a piece of: length (4 bytes) and bytes of the extensions, and the data. Index, term and type are its place
//	value     a piece whose place is the key that it lies under
//	snapshot  a stream
//
// Indexes, terms, times and raft's configuration stay readable.
func encrypted(s Stores, key *atrest.Key) Stores {
	if key == nil {
		return s
	}
	return Stores{Log: encryptedLog{s.Log, key}, Stable: encryptedValues{s.Stable, key}, Snapshots: encryptedSnapshots{s.Snapshots, key}}
}

// undecrypted is why something is called damaged that the data key does not open.
const undecrypted = "it cannot be decrypted"

// encryptedLog is a raft.LogStore whose entries are encrypted.
type encryptedLog struct {
	raft.LogStore
	key *atrest.Key
}

func placeOf(l *raft.Log) string {
	place := binary.BigEndian.AppendUint64([]byte("entry "), l.Index)
	return string(append(binary.BigEndian.AppendUint64(place, l.Term), byte(l.Type)))
}

func (s encryptedLog) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

func (s encryptedLog) StoreLogs(ls []*raft.Log) error {
	all := make([]*raft.Log, len(ls))
	for i, l := range ls {
		piece := make([]byte, 0, 4+len(l.Extensions)+len(l.Data))
		piece = binary.BigEndian.AppendUint32(piece, uint32(len(l.Extensions)))
		piece = append(append(piece, l.Extensions...), l.Data...)
		one := *l
		one.Data, one.Extensions = s.key.Encrypt(piece, placeOf(l)), nil
		all[i] = &one
	}
	return s.LogStore.StoreLogs(all)
}

func (s encryptedLog) GetLog(index uint64, l *raft.Log) error {
	if err := s.LogStore.GetLog(index, l); err != nil {
		return err
	}
	if l.Index != index {
		return damagedLog(index, "entry %d is in its place", l.Index)
	}
	piece, err := s.key.Decrypt(l.Data, placeOf(l))
	extensions, data, ok := cutBytes(piece, 4)
	if err != nil || !ok || len(l.Extensions) > 0 {
		return damagedLog(index, undecrypted)
	}
	l.Extensions, l.Data = extensions[:len(extensions):len(extensions)], data
	return nil
}

// encryptedValues is a raft.StableStore whose values are encrypted.
type encryptedValues struct {
	raft.StableStore
	key *atrest.Key
}

func (s encryptedValues) Set(k, v []byte) error {
	return s.StableStore.Set(k, s.key.Encrypt(v, "value "+string(k)))
}

func (s encryptedValues) Get(k []byte) ([]byte, error) {
	sealed, err := s.StableStore.Get(k)
	if err != nil {
		return nil, err
	}
	v, err := s.key.Decrypt(sealed, "value "+string(k))
	if err != nil {
		return nil, damagedValues(string(k), undecrypted)
	}
	return v, nil
}

func (s encryptedValues) SetUint64(k []byte, n uint64) error {
	return s.Set(k, binary.BigEndian.AppendUint64(nil, n))
}

func (s encryptedValues) GetUint64(k []byte) (uint64, error) {
	v, err := s.Get(k)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, damagedValues(string(k), "it is no number")
	}
	return binary.BigEndian.Uint64(v), nil
}

// encryptedSnapshots is a raft.SnapshotStore whose snapshots are encrypted. The sizes that Open says are of what is in them, those of List
// of what lies on the disk.
type encryptedSnapshots struct {
	raft.SnapshotStore
	key *atrest.Key
}

func (s encryptedSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(v, index, term, c, ci, t)
	if err != nil {
		return nil, err
	}
	to, err := s.key.Writer(sink)
	if err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return &encryptedSink{SnapshotSink: sink, to: to}, nil
}

type encryptedSink struct {
	raft.SnapshotSink
	to     io.WriteCloser
	closed bool
}

func (s *encryptedSink) Write(p []byte) (int, error) { return s.to.Write(p) }

func (s *encryptedSink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.to.Close(); err != nil {
		return errors.Join(err, s.SnapshotSink.Cancel())
	}
	return s.SnapshotSink.Close()
}

func (s encryptedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	inner, r, err := s.SnapshotStore.Open(id)
	if err != nil {
		return nil, nil, err
	}
	disk := &watched{ReadCloser: r}
	c := &encryptedContent{id: id, disk: disk}
	meta := *inner
	if c.content, meta.Size, err = s.key.Reader(disk, meta.Size); err != nil {
		return nil, nil, errors.Join(c.why(err), r.Close())
	}
	return &meta, c, nil
}

// encryptedContent reads what is in a snapshot.
type encryptedContent struct {
	id      string
	disk    *watched
	content io.Reader
}

func (c *encryptedContent) Read(p []byte) (int, error) {
	n, err := c.content.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = c.why(err)
	}
	return n, err
}

// why is damage, unless it is the disk that did not answer.
func (c *encryptedContent) why(err error) error {
	if c.disk.err != nil {
		return c.disk.err
	}
	return damagedSnapshot(c.id, undecrypted)
}

func (c *encryptedContent) Close() error { return c.disk.Close() }

// watched keeps what a disk answered in place of bytes.
type watched struct {
	io.ReadCloser
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}
