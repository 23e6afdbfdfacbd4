package consensus

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// fsm feeds a store.Store from raft. An entry that the store does not understand stops it for good: every later entry
// is let go by, no snapshot is taken (so the log keeps them all), and the state stays what it was, until a newer
// version of the program starts on the same log.
//
//	applying --(store.Apply fails | Restore fails)--> stopped
type fsm struct {
	store   *store.Store
	stop    atomic.Pointer[stopError]
	halted  chan struct{}      // closed when the fsm stops
	halt    func(error)        // called then
	applied broadcast          // sent when the store has gone on
	durable func(index uint64) // returns once our disk has the entry; nil: it has

	// configured is the newest configuration that was committed since the start, beyond what a snapshot has; see
	// Node.committedConfiguration.
	configured atomic.Pointer[configured]
}

// configured is a configuration of raft, and the index of its entry.
type configured struct {
	index   uint64
	servers map[MemberID]bool
}

// applied is what Apply answers through raft's future.
type applied struct {
	results []store.Result
	err     error
}

// stopError is why the fsm stopped.
type stopError struct {
	index uint64
	cause error
}

func (e *stopError) Error() string {
	return fmt.Sprintf("store stopped before entry %d: %v", e.index, e.cause)
}

func (e *stopError) Unwrap() error { return e.cause }

// stopped returns why the fsm stopped, or nil.
func (f *fsm) stopped() error {
	if e := f.stop.Load(); e != nil {
		return e
	}
	return nil
}

// Apply is called by raft, from one goroutine, for each committed command.
func (f *fsm) Apply(l *raft.Log) any {
	if err := f.stopped(); err != nil {
		return applied{err: err}
	}
	if l.Index <= f.store.View().Index() {
		return applied{} // applied before raft began: see lastgood.go
	}
	if f.durable != nil {
		f.durable(l.Index)
	}
	defer f.applied.send()
	results, err := f.store.Apply(l.Index, l.Term, l.Data)
	if err != nil {
		return applied{err: f.stopAt(l.Index, err)}
	}
	return applied{results: results}
}

// StoreConfiguration is called by raft for each committed configuration. Followers are to have it at once.
func (f *fsm) StoreConfiguration(index uint64, c raft.Configuration) {
	f.configured.Store(&configured{index, serversOf(c)})
	f.applied.send()
}

// Snapshot is called by raft between two calls of Apply. It is O(1).
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.stopped(); err != nil {
		return nil, err
	}
	return snapshot{f.store.Snapshot()}, nil
}

// Restore replaces the state by a snapshot of a leader, or of our own at start. The store never goes back. A snapshot of
// a newer version stops it as an entry does: raft keeps the snapshot, and a newer program will start from it.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	if f.stopped() != nil {
		return nil
	}
	defer f.applied.send()
	err := f.store.Advance(r)
	if errors.Is(err, store.ErrNewerVersion) {
		f.stopAt(f.store.View().Index()+1, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore store: %w", err)
	}
	return nil
}

// stopAt ends the applying before an entry.
func (f *fsm) stopAt(index uint64, cause error) error {
	stop := &stopError{index: index, cause: cause}
	f.stop.Store(stop)
	close(f.halted)
	f.halt(stop)
	return stop
}

// snapshot writes an immutable state while the store goes on.
type snapshot struct{ s *store.Snapshot }

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := s.s.WriteTo(sink); err != nil {
		sink.Cancel()
		return fmt.Errorf("write snapshot: %w", err)
	}
	return sink.Close()
}

func (snapshot) Release() {}
