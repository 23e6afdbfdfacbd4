package consensus

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"
)

const (
	snapshotsDir = "snapshots"
	// unfinished ends the names of snapshots that were being written.
	unfinished = ".tmp"
	// keptSnapshots: the newest, which is used, and one before it for whoever has to look into a damaged directory.
	keptSnapshots = 2
)

// snapshotFiles are raft's own, but what it would leave out, because it cannot read it, is damage.
type snapshotFiles struct {
	*raft.FileSnapshotStore
	dir string
}

func openSnapshots(dir string, log *slog.Logger) (snapshotFiles, error) {
	s, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, raftLogger(log, "snapshot"))
	if err != nil {
		return snapshotFiles{}, fmt.Errorf("open snapshots in %q: %w", dir, err)
	}
	return snapshotFiles{s, filepath.Join(dir, snapshotsDir)}, nil
}

// List returns raft's list, whose first has to be the newest by the directories' names.
func (s snapshotFiles) List() ([]*raft.SnapshotMeta, error) {
	newest, err := s.newest()
	if err != nil {
		return nil, err
	}
	metas, err := s.FileSnapshotStore.List()
	if err == nil && newest != "" && (len(metas) == 0 || metas[0].ID != newest) {
		err = damagedSnapshot(newest, "its meta.json cannot be read, or says something else")
	}
	return metas, err
}

// snapshotName is a directory's: term, index, time.
type snapshotName struct{ term, index, time uint64 }

func (s snapshotFiles) newest() (string, error) {
	found, err := os.ReadDir(s.dir)
	if err != nil {
		return "", fmt.Errorf("list snapshots: %w", err)
	}
	var names []snapshotName
	for _, f := range found {
		var n snapshotName
		if !f.IsDir() || strings.HasSuffix(f.Name(), unfinished) {
			continue
		}
		if _, err := fmt.Sscanf(f.Name(), "%d-%d-%d", &n.term, &n.index, &n.time); err != nil {
			return "", damagedSnapshot(f.Name(), "it is no snapshot's name")
		}
		names = append(names, n)
	}
	if len(names) == 0 {
		return "", nil
	}
	n := slices.MaxFunc(names, func(a, b snapshotName) int {
		return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.index, b.index), cmp.Compare(a.time, b.time))
	})
	return fmt.Sprintf("%d-%d-%d", n.term, n.index, n.time), nil
}

// sweepSnapshots removes what a crash left of snapshots that were being written.
func sweepSnapshots(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, snapshotsDir, "*"+unfinished))
	if err != nil {
		return err
	}
	for _, f := range left {
		if err := os.RemoveAll(f); err != nil {
			return err
		}
	}
	return nil
}
