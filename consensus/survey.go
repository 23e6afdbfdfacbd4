package consensus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/durable"
)

// Survey is what a member's files hold while no node runs on them: what a recovery is decided by.
type Survey struct {
	// LastTerm and LastIndex are of the last entry of the log, committed or not. Of two members of one epoch, the one
	// with the higher (LastTerm, LastIndex) has every write that the other one may have acknowledged.
	LastTerm, LastIndex uint64
	// Voters by the last configuration in the log.
	Voters []MemberID
	// sequence is what must not be gone back behind: see startSequence.
	sequence uint64
}

// Inspect reads the files of a member that does not run, and brings st, an empty store, to where the end of its log is. All
// of the log is applied, since an entry that was acknowledged may have no other copy: a write whose proposer was left in
// doubt may so become one that was made. Nothing in the folder changes.
func Inspect(dir string, key *atrest.Key, st *store.Store) (Survey, error) {
	if _, err := os.Stat(filepath.Join(dir, logFile)); err != nil {
		return Survey{}, fmt.Errorf("there is no log: %w", err)
	}
	stores, closer, err := openChecked(dir, key)
	if err != nil {
		return Survey{}, err
	}
	s, err := inspect(stores, st)
	return s, errors.Join(err, closer.Close())
}

// openChecked opens the files as a node does.
func openChecked(dir string, key *atrest.Key) (Stores, io.Closer, error) {
	stores, closer, err := openStores(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return stores, nil, err
	}
	checked, err := checkStores(encrypted(stores, key))
	if err != nil {
		return stores, nil, errors.Join(err, closer.Close())
	}
	return checked, closer, nil
}

func inspect(stores Stores, st *store.Store) (s Survey, err error) {
	var configuration raft.Configuration
	if s, configuration, err = inspectSnapshot(stores.Snapshots, st); err != nil {
		return s, err
	}
	last, err := stores.Log.LastIndex()
	if err != nil {
		return s, fmt.Errorf("read end of log: %w", err)
	}
	for i := s.LastIndex + 1; i <= last; i++ {
		var entry raft.Log
		if err := stores.Log.GetLog(i, &entry); err != nil {
			return s, fmt.Errorf("read entry %d: %w", i, err)
		}
		s.LastTerm, s.LastIndex = entry.Term, entry.Index
		switch entry.Type {
		case raft.LogCommand:
			if _, err := st.Apply(entry.Index, entry.Term, entry.Data); err != nil {
				return s, err
			}
		case raft.LogConfiguration:
			if configuration, err = decodeConfiguration(entry.Data); err != nil {
				return s, fmt.Errorf("read entry %d: %w", i, err)
			}
		}
	}
	for _, server := range configuration.Servers {
		if server.Suffrage == raft.Voter {
			s.Voters = append(s.Voters, MemberID(server.ID))
		}
	}
	s.sequence, err = readSequence(stores.Stable)
	return s, err
}

// inspectSnapshot restores the newest snapshot, if there is one.
func inspectSnapshot(snaps raft.SnapshotStore, st *store.Store) (s Survey, c raft.Configuration, err error) {
	metas, err := snaps.List()
	if err != nil || len(metas) == 0 {
		return s, c, err
	}
	m, r, err := snaps.Open(metas[0].ID)
	if err != nil {
		return s, c, err
	}
	if err := errors.Join(st.Restore(r), r.Close()); err != nil {
		return s, c, fmt.Errorf("snapshot %s: %w", m.ID, err)
	}
	return Survey{LastTerm: m.Term, LastIndex: m.Index}, m.Configuration, nil
}

// decodeConfiguration is raft's, which panics at what is none.
func decodeConfiguration(data []byte) (c raft.Configuration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("no configuration: %v", p)
		}
	}()
	return raft.DecodeConfiguration(data), nil
}

// Survey is what the log of a node that runs holds now. It may go on, and its tail is not applied.
func (n *Node) Survey() Survey {
	last := n.lastEntry()
	return Survey{LastTerm: last.term, LastIndex: last.index, Voters: n.Status().Voters}
}

// lastEntry is where raft's log ends, or the snapshot in place of it.
func (n *Node) lastEntry() position {
	said := n.raft.Stats()
	number := func(name string) uint64 {
		v, _ := strconv.ParseUint(said[name], 10, 64) // raft's own words
		return v
	}
	last := position{number("last_log_index"), number("last_log_term")}
	if at := number("last_snapshot_index"); at > last.index {
		last = position{at, number("last_snapshot_term")}
	}
	return last
}

// Begin makes the files of a member that leads an epoch's first day alone: a state, a configuration with no other server,
// and no log. A Node that is opened on them goes on from there. The folder must be empty, or not there; after an error, or
// a crash, it is of no use.
func Begin(dir string, key *atrest.Key, id MemberID, s *store.Snapshot, after Survey) error {
	stores, closer, err := openChecked(dir, key)
	if err != nil {
		return err
	}
	return errors.Join(begin(stores, id, s, after), closer.Close(), durable.SyncDir(dir))
}

// NextIndex is where in the log the state of a new epoch stands.
func (s Survey) NextIndex() uint64 { return s.LastIndex + 1 }

func begin(stores Stores, id MemberID, s *store.Snapshot, after Survey) error {
	index, term := after.NextIndex(), after.LastTerm+1
	if got := s.View().Index(); got != index {
		return fmt.Errorf("begin at index %d with a state of index %d", index, got)
	}
	alone := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(id), Address: raft.ServerAddress(id)}}}
	_, addresses := raft.NewInmemTransport("") // only to encode the one address
	sink, err := stores.Snapshots.Create(raft.SnapshotVersionMax, index, term, alone, index, addresses)
	if err != nil {
		return fmt.Errorf("create snapshot: %w", err)
	}
	if err := (snapshot{s}).Persist(sink); err != nil {
		return err
	}
	return errors.Join(
		stores.Stable.SetUint64([]byte("CurrentTerm"), term), // raft's own name
		stores.Stable.SetUint64(keyApplied, index),
		writeSequence(stores.Stable, after.sequence),
	)
}
