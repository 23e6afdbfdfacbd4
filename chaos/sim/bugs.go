package sim

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/transport"
)

// Bug is a known bug that can be put back: by a seam where there is one, by a fault.Set where there is none.
type Bug struct {
	Name, What string
	Faults     fault.Set
	Wrap       func(disk *consensustest.Disk, c *agent.CoreConfig)
	// Lying disks say that they have written before they have.
	Lying bool
	// By is the check that must catch it: whatever else goes wrong proves nothing of this bug.
	By string
	// Directed is a schedule, as a file, that goes for this bug.
	Directed string
}

// Caught is the first fault by which the check that must catch the bug has caught it.
func (b *Bug) Caught(out Outcome) (f Fault, caught bool) {
	i := slices.IndexFunc(out.Faults, func(f Fault) bool { return f.Check == b.By })
	if i < 0 {
		return Fault{}, false
	}
	return out.Faults[i], true
}

// The beginnings of directed schedules: three voters and one that never votes, with a load at each.
const (
	small = `seed 1
length 14s
member fra eu
member iad us
member sin ap
member ams eu
member lim sa never
client 1 fra put
client 2 iad put
client 3 sin swap
client 4 fra get
client 5 iad get
client 6 sin get
client 7 iad list
client 8 ams list
client 9 lim get
`
	// leaderMoves lets a leader that hears late hand on, with many who read.
	leaderMoves = `seed 1
length 14s
member fra eu
member ams eu
member mad eu
client 1 fra put
client 2 ams put
client 3 mad put
client 4 fra get
client 5 ams get
client 6 mad get
client 7 fra get
client 8 ams get
client 9 mad get
client 10 fra get
client 11 ams get
client 12 mad get
1.9s lag leader 1s
2s transfer
3.9s lag leader 1s
4s transfer
5.9s lag leader 1s
6s transfer
7.9s lag leader 1s
8s transfer
9.9s lag leader 1s
10s transfer
11.9s lag leader 1s
12s transfer
`
	// fiveRegions loses one, and the leader's when the first is about to be judged dead, so that who is elected is the one
	// that decides on its voter.
	fiveRegions = `seed 1
length 40s
voters 5
member fra eu
member iad us
member sin ap
member gru sa
member cpt af
client 1 fra put
client 2 iad get
10s kill gru 30s
17.4s truth leader 20s
`
	// unsynced lets the founder, which leads, and one voter take writes that the founder's disk does not have. Then the founder
	// loses its power and that voter is out of reach: those who are left decide without what was acknowledged.
	unsynced = small + `2s isolate sin 3s
3s stall fra 2s
4.9s kill fra 300ms
4.9s isolate iad 6s
`
	// leadersGo leaves many writes in doubt, each time that who has them is out of reach: they are tried again with the next leader.
	leadersGo = small + `client 10 ams put
client 11 ams put
client 12 iad put
client 13 sin put
client 14 fra put
2s isolate leader 2.5s
5s isolate leader 2.5s
8s isolate leader 2.5s
11s isolate leader 2.5s
`
	// forgotten lets the founder and one voter decide while the third is away. Then that voter loses its disk, and the founder
	// is out of reach: the third one, which lacks what was acknowledged, has the vote of the one that forgot it.
	forgotten = small + `length 30s
2s isolate iad 4s
2s isolate ams 26s
5s lose-disk sin 1s
5.5s isolate fra 20s
`
	powerFails = small + `2s slow fra 3s
2s slow iad 3s
2s slow sin 3s
4s all-die 1s
7s slow fra 3s
7s slow iad 3s
7s slow sin 3s
9s all-die 1s
`
)

// Bugs are all of them.
func Bugs() []Bug {
	return []Bug{
		{Name: "heartbeat-fast-path", What: "raft handles heartbeats beside its main loop (hashicorp/raft 695)", Faults: fault.Set{HeartbeatFastPath: true},
			By: "log", Directed: small + "2s herald iad 500ms\n5s herald sin 500ms\n8s herald fra 500ms\n11s herald iad 500ms\n"},
		{Name: "early-acknowledgement", What: "a write is acknowledged before it is on the disk", Faults: fault.Set{AckBeforeSync: true}, By: "acknowledged writes", Directed: unsynced},
		{Name: "deaf-to-the-disk", What: "an error of the disk is ignored", Wrap: deafen,
			By: "start", Directed: small + "2s eio iad 2s\n6s kill iad 1s\n9s full sin 1s\n12s kill sin 1s\n"},
		{Name: "verify-leader", What: "a read rests on VerifyLeader", Faults: fault.Set{VerifyLeader: true}, By: "linearizable", Directed: leaderMoves},
		{Name: "read-applied", What: "a read shows what the leader has applied", Faults: fault.Set{ReadApplied: true}, By: "linearizable", Directed: leaderMoves},
		{Name: "fresh-sequence", What: "a forwarded write that is repeated is applied twice", Faults: fault.Set{FreshSequence: true},
			By: "watch", Directed: leadersGo},
		{Name: "removed-pin", What: "the key of a removed member is still accepted", Wrap: forgive, By: "removal", Directed: small + "2s remove ams\n"},
		{Name: "no-law", What: "a member writes another's status", Wrap: lawless, By: "law", Directed: small + "2s forge fra\n4s forge iad\n"},
		{Name: "old-incarnation", What: "a member that lost its log votes as who it was", Faults: fault.Set{LostLog: true}, By: "acknowledged writes", Directed: forgotten},
		{Name: "old-configuration", What: "a snapshot lacks the last change of the membership", Wrap: outdate, By: "start", Directed: small + "6s restart fra 500ms\n8s restart iad 500ms\n"},
		{Name: "watch-skips", What: "a watch resumes off by one", Faults: fault.Set{WatchSkips: true}, By: "watch", Directed: small},
		{Name: "revision-reused", What: "a revision is used again after a restore", Faults: fault.Set{RevisionReused: true}, By: "watch", Directed: small + "3s isolate ams 8s\n8s restart iad 500ms\n"},
		{Name: "epoch-without-jump", What: "a revision is used again after `hanse restore` or `hanse recover`", Faults: fault.Set{NoJump: true}, By: "watch", Directed: small + "6s restore 3s\n"},
		{Name: "moody-apply", What: "applying the log is not deterministic", Wrap: moody, By: "watch", Directed: small},
		{Name: "lost-nudge", What: "followers learn of a commit by the commit timeout", Faults: fault.Set{NoNudge: true}, By: "bounded lag", Directed: small},
		{Name: "hasty-choice", What: "a new leader takes the vote of a living voter because another is dead", Faults: fault.Set{HastyChoice: true}, By: "status", Directed: fiveRegions},
		{Name: "lying-disks", What: "every disk says that it has written before it has", Lying: true, By: "start", Directed: powerFails},
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
	c.Seams.Authorizer = func(law.Authority) store.Authorizer { return nil }
}

// moody refuses one command in many, on this member alone.
func moody(_ *consensustest.Disk, c *agent.CoreConfig) {
	c.Seams.Authorizer = func(l law.Authority) store.Authorizer {
		return &moodyLaw{Authority: l, rng: rand.New(rand.NewPCG(rand.Uint64(), 0))}
	}
}

type moodyLaw struct {
	law.Authority
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
	return m.Authority.Authorize(v, who, txn)
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
