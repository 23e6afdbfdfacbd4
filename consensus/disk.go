package consensus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	logFile = "log.bolt"
	// openTimeout bounds the wait for another process that has the log open.
	openTimeout = 2 * time.Second
	// keptSnapshots: the newest, and one before it in case it cannot be read.
	keptSnapshots = 2
)

// Stores are where raft keeps its log, its vote and its snapshots. Whoever gives them to a Node closes them after it.
type Stores struct {
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
}

// openStores opens the files in the directory and returns what closes them.
func openStores(dir string, log *slog.Logger) (Stores, io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Stores{}, nil, fmt.Errorf("make raft directory: %w", err)
	}
	if err := sweepSpool(dir); err != nil {
		return Stores{}, nil, fmt.Errorf("remove old spool files: %w", err)
	}
	path := filepath.Join(dir, logFile)
	b, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		// The freelist is rebuilt at start rather than written with every entry, and never searched in order.
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, Timeout: openTimeout,
	}})
	if err != nil {
		return Stores{}, nil, fmt.Errorf("open raft log %q: %w", path, err)
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, raftLogger(log, "snapshot"))
	if err != nil {
		b.Close()
		return Stores{}, nil, fmt.Errorf("open snapshots in %q: %w", dir, err)
	}
	// Neither bbolt nor raft makes the names of what they made durable.
	if err := errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))); err != nil {
		b.Close()
		return Stores{}, nil, fmt.Errorf("sync raft directory: %w", err)
	}
	return Stores{Log: b, Stable: b, Snapshots: snaps}, b, nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
