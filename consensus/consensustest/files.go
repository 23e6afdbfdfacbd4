package consensustest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// logFile and valuesBucket are where the real stores keep the log, and in it the stable store.
const (
	logFile      = "log.bolt"
	valuesBucket = "conf"
)

// Save writes what lies on the disk as the files of a member that does not run, for what works on files only: recover is
// one. The folder must be empty, or not there.
func (d *Disk) Save(dir string) error {
	d.mu.Lock()
	c := d.content.clone()
	d.mu.Unlock()
	return onFiles(dir, func(b *raftboltdb.BoltStore, snaps raft.SnapshotStore) error {
		var entries []*raft.Log
		for _, l := range c.log {
			entries = append(entries, &l)
		}
		errs := []error{b.StoreLogs(entries)}
		for key, value := range c.stable {
			errs = append(errs, b.Set([]byte(key), value))
		}
		for _, f := range slices.Backward(c.snapshots) {
			errs = append(errs, f.save(snaps))
		}
		return errors.Join(errs...)
	})
}

func (f file) save(snaps raft.SnapshotStore) error {
	_, addresses := raft.NewInmemTransport("") // only to encode addresses
	sink, err := snaps.Create(f.meta.Version, f.meta.Index, f.meta.Term, f.meta.Configuration, f.meta.ConfigurationIndex, addresses)
	if err != nil {
		return err
	}
	if _, err := io.Copy(sink, bytes.NewReader(f.data)); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Load makes the disk hold what lies in a member's files, and nothing else, as durable as can be.
func (d *Disk) Load(dir string) error {
	c := newContent()
	err := onFiles(dir, func(b *raftboltdb.BoltStore, snaps raft.SnapshotStore) error {
		return errors.Join(c.loadLog(b), c.loadSnapshots(snaps))
	})
	if err := errors.Join(err, c.loadValues(dir)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.content, d.unsynced, d.waiting = c, nil, nil
	if d.durable != nil {
		durable := c.clone()
		d.durable = &durable
	}
	return nil
}

func (c *content) loadLog(b *raftboltdb.BoltStore) error {
	first, err := b.FirstIndex()
	if err != nil {
		return err
	}
	last, err := b.LastIndex()
	for i := first; err == nil && i <= last; i++ {
		var l raft.Log
		switch err = b.GetLog(i, &l); {
		case err == nil:
			c.log[i] = l
		case errors.Is(err, raft.ErrLogNotFound):
			err = nil // entry 0, which is what checks the log, stands apart
		}
	}
	return err
}

func (c *content) loadSnapshots(snaps raft.SnapshotStore) error {
	metas, err := snaps.List()
	for _, m := range metas {
		meta, r, err := snaps.Open(m.ID)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		c.add(file{meta: *meta, data: data})
	}
	return err
}

func (c *content) loadValues(dir string) error {
	db, err := bbolt.Open(filepath.Join(dir, logFile), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(valuesBucket)).ForEach(func(k, v []byte) error {
			c.stable[string(k)] = bytes.Clone(v)
			return nil
		})
	})
	return errors.Join(err, db.Close())
}

func onFiles(dir string, do func(*raftboltdb.BoltStore, raft.SnapshotStore) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	b, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, logFile), NoSync: true})
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, hclog.NewNullLogger())
	if err == nil {
		err = do(b, snaps)
	}
	return errors.Join(err, b.Close())
}
