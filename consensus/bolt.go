package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/hanse-fleet/hanse/internal/durable"
)

const (
	logFile = "log.bolt"
	// openTimeout bounds the wait for another process that has the log open.
	openTimeout = 2 * time.Second
)

// bolt is raft-boltdb's store. What panics below it, or faults in the file's memory map, is damage and said so.
type bolt struct{ store *raftboltdb.BoltStore }

// openBolt opens, or makes, the log's file in a directory. A file that is damaged is not touched.
func openBolt(dir string) (b *bolt, err error) {
	path := filepath.Join(dir, logFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := makeBolt(path); err != nil {
			return nil, fmt.Errorf("make raft log %q: %w", path, err)
		}
	}
	if err := checkBoltAt(path); err != nil {
		return nil, err
	}
	if b, err = openBoltAt(path); err != nil {
		return nil, fmt.Errorf("open raft log %q: %w", path, err)
	}
	return b, nil
}

// makeBolt makes an empty file under another name first: one that a crash left half made would look damaged.
func makeBolt(path string) error {
	half := path + ".new"
	if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := openBoltAt(half)
	if err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	return errors.Join(os.Rename(half, path), durable.SyncDir(filepath.Dir(path)))
}

func openBoltAt(path string) (b *bolt, err error) {
	err = unharmed("open", func() error {
		s, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
			// The freelist is rebuilt at start rather than written with every entry, and never searched in order.
			NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, Timeout: openTimeout,
		}})
		b = &bolt{s}
		return err
	})
	return b, err
}

func checkBoltAt(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open raft log: %w", err)
	}
	defer f.Close()
	// bbolt's own lock: nobody writes to the file while it is read.
	for end := time.Now().Add(openTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if err == nil {
			return checkBolt(f)
		}
		if time.Now().After(end) {
			return fmt.Errorf("lock raft log %q: %w", path, err)
		}
	}
}

// unharmed turns a panic in bbolt, or a page of its memory map that cannot be read, into an error.
func unharmed(what string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &DamagedError{What: "log", Where: logFile, Why: fmt.Sprintf("%s: %v", what, p)}
		}
	}()
	return f()
}

func (b *bolt) FirstIndex() (i uint64, err error) {
	err = unharmed("read first index", func() (err error) { i, err = b.store.FirstIndex(); return err })
	return i, err
}

func (b *bolt) LastIndex() (i uint64, err error) {
	err = unharmed("read last index", func() (err error) { i, err = b.store.LastIndex(); return err })
	return i, err
}

// GetLog calls an entry that does not decode damaged.
func (b *bolt) GetLog(index uint64, l *raft.Log) error {
	err := unharmed("read entry", func() error { return b.store.GetLog(index, l) })
	damaged := new(DamagedError)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, bolterrors.ErrDatabaseNotOpen) || errors.As(err, &damaged) {
		return err
	}
	return damagedLog(index, "%v", err)
}

func (b *bolt) StoreLog(l *raft.Log) error { return b.StoreLogs([]*raft.Log{l}) }

func (b *bolt) StoreLogs(ls []*raft.Log) error {
	return unharmed("write entries", func() error { return b.store.StoreLogs(ls) })
}

func (b *bolt) DeleteRange(low, high uint64) error {
	return unharmed("cut log", func() error { return b.store.DeleteRange(low, high) })
}

func (b *bolt) Get(k []byte) (v []byte, err error) {
	err = unharmed("read values", func() (err error) { v, err = b.store.Get(k); return err })
	return v, err
}

func (b *bolt) Set(k, v []byte) error {
	return unharmed("write values", func() error { return b.store.Set(k, v) })
}

func (b *bolt) GetUint64(k []byte) (v uint64, err error) {
	err = unharmed("read values", func() (err error) { v, err = b.store.GetUint64(k); return err })
	return v, err
}

func (b *bolt) SetUint64(k []byte, v uint64) error {
	return unharmed("write values", func() error { return b.store.SetUint64(k, v) })
}

func (b *bolt) Close() error {
	return unharmed("close", b.store.Close)
}
