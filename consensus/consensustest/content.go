package consensustest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/hashicorp/raft"
)

// content is what lies on a Disk. Values are replaced, never changed in place, so that a clone shares them.
type content struct {
	log       map[uint64]raft.Log
	stable    map[string][]byte
	snapshots []file // newest first
}

// file is a snapshot that was finished.
type file struct {
	meta raft.SnapshotMeta
	data []byte
}

// keptSnapshots is as many as the real store keeps.
const keptSnapshots = 2

// errNotFound is what raft knows a missing key by.
var errNotFound = errors.New("not found")

func newContent() content {
	return content{log: map[uint64]raft.Log{}, stable: map[string][]byte{}}
}

func (c content) clone() content {
	return content{log: maps.Clone(c.log), stable: maps.Clone(c.stable), snapshots: slices.Clone(c.snapshots)}
}

func (c *content) bounds() (first, last uint64) {
	for i := range c.log {
		if i == 0 {
			continue // the head of the checked log
		}
		if first == 0 || i < first {
			first = i
		}
		last = max(last, i)
	}
	return first, last
}

// add puts a snapshot into its place and drops the oldest.
func (c *content) add(f file) {
	c.snapshots = append(slices.Clone(c.snapshots), f)
	slices.SortStableFunc(c.snapshots, func(a, b file) int {
		return cmp.Or(cmp.Compare(b.meta.Term, a.meta.Term), cmp.Compare(b.meta.Index, a.meta.Index))
	})
	if len(c.snapshots) > keptSnapshots {
		c.snapshots = c.snapshots[:keptSnapshots]
	}
}

// FirstIndex implements raft.LogStore.
func (h handle) FirstIndex() (i uint64, err error) {
	err = h.read(func(c *content) error { i, _ = c.bounds(); return nil })
	return i, err
}

// LastIndex implements raft.LogStore.
func (h handle) LastIndex() (i uint64, err error) {
	err = h.read(func(c *content) error { _, i = c.bounds(); return nil })
	return i, err
}

// GetLog implements raft.LogStore.
func (h handle) GetLog(index uint64, l *raft.Log) error {
	return h.read(func(c *content) error {
		found, ok := c.log[index]
		if !ok {
			return raft.ErrLogNotFound
		}
		*l = found
		return nil
	})
}

// GetLog reads an entry as it lies on the disk.
func (d *Disk) GetLog(index uint64, l *raft.Log) error { return d.Stores().Log.GetLog(index, l) }

// StoreLog implements raft.LogStore.
func (h handle) StoreLog(l *raft.Log) error { return h.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (h handle) StoreLogs(ls []*raft.Log) error {
	var parts []func(*content)
	for _, l := range ls {
		entry := *l
		parts = append(parts, func(c *content) { c.log[entry.Index] = entry })
	}
	return h.write(parts...)
}

// DeleteRange implements raft.LogStore.
func (h handle) DeleteRange(low, high uint64) error {
	return h.write(func(c *content) {
		maps.DeleteFunc(c.log, func(i uint64, _ raft.Log) bool { return low <= i && i <= high })
	})
}

// Set implements raft.StableStore.
func (h handle) Set(k, v []byte) error {
	key, value := string(k), bytes.Clone(v)
	return h.write(func(c *content) { c.stable[key] = value })
}

// Get implements raft.StableStore.
func (h handle) Get(k []byte) (v []byte, err error) {
	err = h.read(func(c *content) error {
		found, ok := c.stable[string(k)]
		if !ok {
			return errNotFound
		}
		v = bytes.Clone(found)
		return nil
	})
	return v, err
}

// SetUint64 implements raft.StableStore.
func (h handle) SetUint64(k []byte, v uint64) error {
	return h.Set(k, fmt.Append(nil, v))
}

// GetUint64 implements raft.StableStore.
func (h handle) GetUint64(k []byte) (v uint64, err error) {
	b, err := h.Get(k)
	if err == nil {
		_, err = fmt.Sscan(string(b), &v)
	}
	return v, err
}

// snapshots implements raft.SnapshotStore.
type snapshots struct{ handle }

func (s snapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	meta := raft.SnapshotMeta{
		Version: v, ID: fmt.Sprintf("%d-%d", term, index), Index: index, Term: term, Configuration: c, ConfigurationIndex: ci,
	}
	return &sink{h: s.handle, file: file{meta: meta}}, s.write()
}

func (s snapshots) List() (metas []*raft.SnapshotMeta, err error) {
	err = s.read(func(c *content) error {
		for _, f := range c.snapshots {
			metas = append(metas, &f.meta)
		}
		return nil
	})
	return metas, err
}

func (s snapshots) Open(id string) (meta *raft.SnapshotMeta, r io.ReadCloser, err error) {
	err = s.read(func(c *content) error {
		i := slices.IndexFunc(c.snapshots, func(f file) bool { return f.meta.ID == id })
		if i < 0 {
			return fmt.Errorf("no snapshot %q", id)
		}
		f := c.snapshots[i]
		meta, r = &f.meta, io.NopCloser(bytes.NewReader(f.data))
		return nil
	})
	return meta, r, err
}

// sink is a snapshot that is being written. It is there once it is closed.
type sink struct {
	h    handle
	file file
	done bool
}

func (s *sink) ID() string { return s.file.meta.ID }

func (s *sink) Write(p []byte) (int, error) {
	if err := s.h.write(); err != nil {
		return 0, err
	}
	s.file.data = append(s.file.data, p...)
	return len(p), nil
}

func (s *sink) Close() error {
	if s.done {
		return nil
	}
	s.done = true
	s.file.meta.Size = int64(len(s.file.data))
	return s.h.write(func(c *content) { c.add(s.file) })
}

func (s *sink) Cancel() error {
	s.done = true
	return nil
}
