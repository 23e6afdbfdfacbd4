package sim

import (
	"math/rand/v2"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/transport"
)

// Bug is a known bug that can be put back: by a seam where there is one, by a fault.Set where there is none.
type Bug struct {
	Name, What string
	Faults     fault.Set
	Wrap       func(disk *consensustest.Disk, c *agent.CoreConfig)
	// Lying disks say that they have written before they have.
	Lying bool
	// Directed is a schedule, as a file, that goes for this bug.
	Directed string
}

// Bugs are all of them.
func Bugs() []Bug {
	return []Bug{
		{Name: "heartbeat-fast-path", What: "raft handles heartbeats beside its main loop (hashicorp/raft 695)", Faults: fault.Set{HeartbeatFastPath: true}},
		{Name: "early-acknowledgement", What: "a write is acknowledged before it is on the disk", Lying: true},
		{Name: "deaf-to-the-disk", What: "an error of the disk is ignored", Faults: fault.Set{NoGuard: true}, Wrap: deafen},
		{Name: "verify-leader", What: "a read rests on VerifyLeader", Faults: fault.Set{VerifyLeader: true}},
		{Name: "read-applied", What: "a read shows what the leader has applied", Faults: fault.Set{ReadApplied: true}},
		{Name: "fresh-sequence", What: "a forwarded write that is repeated is applied twice", Faults: fault.Set{FreshSequence: true}},
		{Name: "removed-pin", What: "the key of a removed member is still accepted", Wrap: forgive},
		{Name: "no-law", What: "a member writes another's status", Wrap: lawless},
		{Name: "old-incarnation", What: "a member that lost its log votes as who it was", Faults: fault.Set{LostLog: true}},
		{Name: "old-configuration", What: "a snapshot lacks the last change of the membership", Wrap: outdate},
		{Name: "watch-skips", What: "a watch resumes off by one", Faults: fault.Set{WatchSkips: true}},
		{Name: "revision-reused", What: "a revision is used again after a restore", Faults: fault.Set{RevisionReused: true}},
		{Name: "moody-apply", What: "applying the log is not deterministic", Wrap: moody},
		{Name: "lost-nudge", What: "followers learn of a commit by the commit timeout", Faults: fault.Set{NoNudge: true}},
	}
}

// deafen lets raft hear of no error. What did not reach the disk is still read, as from a page cache, until the process
// ends.
func deafen(_ *consensustest.Disk, c *agent.CoreConfig) {
	c.Stores.Log = &deafLog{LogStore: c.Stores.Log, cached: map[uint64]raft.Log{}}
	c.Stores.Stable = deafStable{c.Stores.Stable}
}

type deafLog struct {
	raft.LogStore
	mu     sync.Mutex
	cached map[uint64]raft.Log
}

// StoreLog implements raft.LogStore.
func (s *deafLog) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (s *deafLog) StoreLogs(ls []*raft.Log) error {
	err := s.LogStore.StoreLogs(ls)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range ls {
		delete(s.cached, l.Index)
		if err != nil {
			s.cached[l.Index] = *l
		}
	}
	return nil
}

// GetLog implements raft.LogStore.
func (s *deafLog) GetLog(index uint64, l *raft.Log) error {
	s.mu.Lock()
	cached, ok := s.cached[index]
	s.mu.Unlock()
	if ok {
		*l = cached
		return nil
	}
	return s.LogStore.GetLog(index, l)
}

// DeleteRange implements raft.LogStore.
func (s *deafLog) DeleteRange(low, high uint64) error {
	s.LogStore.DeleteRange(low, high)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.cached {
		if low <= i && i <= high {
			delete(s.cached, i)
		}
	}
	return nil
}

type deafStable struct{ raft.StableStore }

// Set implements raft.StableStore.
func (s deafStable) Set(k, v []byte) error { s.StableStore.Set(k, v); return nil }

// SetUint64 implements raft.StableStore.
func (s deafStable) SetUint64(k []byte, v uint64) error { s.StableStore.SetUint64(k, v); return nil }

// forgive takes every removed pin for a current one.
func forgive(_ *consensustest.Disk, c *agent.CoreConfig) {
	c.Seams.Directory = func(d transport.Directory) transport.Directory { return forgiving{d} }
}

type forgiving struct{ transport.Directory }

// Lookup implements transport.Directory.
func (d forgiving) Lookup(pin transport.Pin) (transport.MemberID, transport.Standing) {
	id, standing := d.Directory.Lookup(pin)
	if standing == transport.Removed {
		standing = transport.Current
	}
	return id, standing
}

// lawless allows everything.
func lawless(_ *consensustest.Disk, c *agent.CoreConfig) {
	c.Seams.Authorizer = func(store.Authorizer) store.Authorizer { return nil }
}

// moody refuses one command in many, on this member alone.
func moody(_ *consensustest.Disk, c *agent.CoreConfig) {
	c.Seams.Authorizer = func(law store.Authorizer) store.Authorizer {
		return &moodyLaw{law: law, rng: rand.New(rand.NewPCG(rand.Uint64(), 0))}
	}
}

type moodyLaw struct {
	law store.Authorizer
	mu  sync.Mutex
	rng *rand.Rand
}

// Authorize implements store.Authorizer.
func (m *moodyLaw) Authorize(v *store.View, who store.Asker, txn store.Txn) error {
	m.mu.Lock()
	bad := m.rng.IntN(200) == 0
	m.mu.Unlock()
	if bad {
		return &store.Forbidden{Reason: "not in the mood"}
	}
	return m.law.Authorize(v, who, txn)
}

// outdate gives each snapshot the configuration before the last.
func outdate(_ *consensustest.Disk, c *agent.CoreConfig) {
	c.Stores.Snapshots = &outdated{SnapshotStore: c.Stores.Snapshots}
}

type outdated struct{ raft.SnapshotStore }

// Create implements raft.SnapshotStore.
func (s *outdated) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	if n := len(c.Servers); n > 1 {
		c.Servers = c.Servers[:n-1]
	}
	return s.SnapshotStore.Create(v, index, term, c, ci, t)
}
