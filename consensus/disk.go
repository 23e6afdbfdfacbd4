package consensus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/internal/durable"
)

// Stores are where raft keeps its log, its vote and its snapshots. Whoever gives them to a Node closes them after it.
type Stores struct {
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
}

// openStores opens the files in the directory and returns what closes them. A directory with a damaged log stays as
// it is.
func openStores(dir string, log *slog.Logger) (Stores, io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Stores{}, nil, fmt.Errorf("make raft directory: %w", err)
	}
	b, err := openBolt(dir)
	if err != nil {
		return Stores{}, nil, err
	}
	if err := errors.Join(sweepSpool(dir), sweepSnapshots(dir)); err != nil {
		return Stores{}, nil, errors.Join(fmt.Errorf("remove unfinished snapshots: %w", err), b.Close())
	}
	snaps, err := openSnapshots(dir, log)
	if err != nil {
		return Stores{}, nil, errors.Join(err, b.Close())
	}
	// Neither bbolt nor raft makes the names of what they made durable.
	if err := errors.Join(durable.SyncDir(dir), durable.SyncDir(filepath.Dir(dir))); err != nil {
		return Stores{}, nil, errors.Join(fmt.Errorf("sync raft directory: %w", err), b.Close())
	}
	return Stores{Log: b, Stable: b, Snapshots: snaps}, b, nil
}
