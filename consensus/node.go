package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/guests"
)

const (
	// maxAppendEntries bounds what raft writes to the disk, or sends, at once. link.trim bounds it in bytes.
	maxAppendEntries = 256
	// cachedEntries are the newest entries that are kept in memory, for raft and for followers: at 256 KiB each, not many.
	cachedEntries = 128
	// stuckClose is how long Close waits for raft when a disk operation may never return.
	stuckClose = time.Second
)

// Node is one member's part in the replicated store. Its methods may be called from any goroutine.
type Node struct {
	cfg       Config
	stores    Stores
	logs      *tail
	writer    writer
	closer    io.Closer // of the files; nil when the stores were given
	guard     *guard
	pace      *pace
	fsm       *fsm
	transport *transport
	raft      *raft.Raft

	notify   chan bool
	observer *raft.Observer
	observed chan raft.Observation
	raftDone chan struct{} // closed when raft runs no more

	offices offices
	heir    heir       // during a planned change of leader
	handing sync.Mutex // one change of leader at a time
	// dispatching is held from finding oneself in office until raft has what is to be appended in it.
	dispatching sync.Mutex
	indexes     *rounds[store.Revision] // reads on the leader
	asks        *rounds[store.Revision] // reads on everyone else
	probes      *rounds[struct{}]       // Healthy's
	sequence    *sequence
	proposals   *caller
	quotas      *quotas // of the members that propose through this one
	reads       *caller
	queue       chan *submission // what this leader appends
	outgoing    chan *submission // what others are asked to append
	entries     chan *entry
	nudges      nudges
	pending     atomic.Int64 // entries between the batcher and their answer

	feeds        *guests.List[MemberID] // streams of those that we are the source of
	snapshotsOut chan struct{}
	upstream     atomic.Pointer[upstream]  // nil while this member follows nobody
	heard        atomic.Pointer[time.Time] // when a leader last spoke raft to us; at first the start
	asked        atomic.Pointer[time.Time] // when this voter last said that it would vote for another; nil: never

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	work   sync.WaitGroup // our goroutines and the calls under way

	// base is up to where all is committed though raft's commit index need not say so: what the start brought, or a
	// snapshot that was installed. It is written at the start, and by who holds transport.fed.
	base atomic.Uint64

	longStart uint64 // see longAtStart; routineShrink forgets it

	recorded struct {
		turn
		index uint64 // of the last entry that Record made sure of
	}

	life struct {
		sync.Mutex
		closing bool
		closed  chan struct{}
		err     error
	}
}

// Open starts a node on its files. It is a follower until a leader speaks to it, or Bootstrap founds the group.
func Open(cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, notify: make(chan bool, 8), observed: make(chan raft.Observation, 8),
		raftDone: make(chan struct{}), queue: make(chan *submission, queued), outgoing: make(chan *submission, queued), nudges: newNudges(), entries: make(chan *entry, inFlight),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.feeds, n.snapshotsOut = guests.New[MemberID](maxFollowers), make(chan struct{}, maxSnapshotsOut)
	n.hear()
	n.offices.changed = make(chan struct{})
	n.recorded.turn = newTurn()
	n.life.closed = make(chan struct{})
	if err := n.open(); err != nil {
		n.cancel()
		if n.closer != nil {
			n.closer.Close()
		}
		return nil, fmt.Errorf("open consensus: %w", err)
	}
	n.start()
	return n, nil
}

func (n *Node) open() (err error) {
	if n.cfg.Stores != nil {
		n.stores = *n.cfg.Stores
	} else if n.stores, n.closer, err = openStores(n.cfg.Dir, n.cfg.Logger); err != nil {
		return err
	}
	n.stores = encrypted(n.stores, n.cfg.Key)
	if !n.cfg.Faults.NoChecksums {
		if n.stores, err = checkStores(n.stores); err != nil {
			return err
		}
	}
	start, err := startSequence(n.stores.Stable, n.cfg.Clock())
	if err != nil {
		return err
	}
	n.sequence = newSequence(start)
	n.pace = newPace(n.cfg.Timing)
	n.guard = newGuard(n.cfg.Timing.DiskStall, n.diskFailed)
	n.fsm = &fsm{store: n.cfg.Store, halted: make(chan struct{}), halt: n.storeStopped}
	if err := n.applyRecorded(); err != nil {
		return err
	}
	return n.openRaft()
}

func (n *Node) openRaft() (err error) {
	var (
		log    raft.LogStore      = guardedLog{n.guard, n.stores.Log}
		stable raft.StableStore   = guardedStable{n.guard, n.stores.Stable}
		snaps  raft.SnapshotStore = guardedSnapshots{n.guard, n.stores.Snapshots}
	)
	if n.cfg.Faults.NoGuard {
		log, stable, snaps = n.stores.Log, n.stores.Stable, n.stores.Snapshots
	}
	if !n.cfg.uncached {
		if log, err = raft.NewLogCache(cachedEntries, log); err != nil {
			return fmt.Errorf("cache log: %w", err)
		}
	}
	if n.logs, err = newTail(log, n.guard.broken); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	n.logs.early, n.logs.snapshot = n.cfg.Faults.AckBeforeSync, n.newestPosition
	n.fsm.durable = n.logs.wait
	gate := make(chan struct{})
	n.transport = newTransport(n.cfg, n.guard, n.pace, n.logs, gated{n, gate})
	n.raft, err = newRaft(n.raftConfig(), n.fsm, n.logs, stable, snaps, n.transport)
	if err != nil {
		close(gate)
		n.transport.Close()
		return fmt.Errorf("start raft: %w", err)
	}
	n.guard.running.Store(true)
	n.rebase(max(n.raft.AppliedIndex(), n.recorded.index)) // the snapshot, and what was applied behind it before raft began
	n.longStart = n.longAtStart()
	n.writer = n.logs.start()
	if !n.cfg.Faults.NoGuard {
		leads := func() bool { return n.raft.State() == raft.Leader }
		n.logs.leads.Store(&leads) // without the guard, raft must see the errors of its writes
	}
	n.quotas = newQuotas(n.cfg.Quota)
	n.proposals, n.reads = newCaller(n.cfg.Network, kindPropose), newCaller(n.cfg.Network, kindRead)
	n.indexes, n.asks, n.probes = newRounds(n.readIndex), newRounds(n.askLeader), newRounds(n.probe)
	close(gate)
	return nil
}

// newRaft is raft.NewRaft, which panics over a disk that fails while it starts.
func newRaft(c *raft.Config, f raft.FSM, log raft.LogStore, stable raft.StableStore, snaps raft.SnapshotStore, t raft.Transport) (r *raft.Raft, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("raft cannot go on: %v", cause)
		}
	}()
	return raft.NewRaft(c, f, log, stable, snaps, t)
}

func (n *Node) raftConfig() *raft.Config {
	t := n.cfg.Timing
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.cfg.ID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = t.Heartbeat, t.Election, t.Lease
	c.CommitTimeout = t.Commit
	c.MaxAppendEntries = maxAppendEntries
	c.SnapshotInterval, c.SnapshotThreshold, c.TrailingLogs = t.Snapshot, n.cfg.SnapshotThreshold, n.cfg.TrailingLogs
	c.NoSnapshotRestoreOnStart = n.recorded.index > 0 // applyRecorded has done it
	c.ShutdownOnRemove = false                        // a removed member says so; it does not vanish
	c.NotifyCh = n.notify
	c.Logger = raftLogger(n.cfg.Logger, "raft")
	c.NoLegacyTelemetry = true
	return c
}

// start runs our goroutines. DESIGN.md lists them with their channels.
func (n *Node) start() {
	n.observer = raft.NewObserver(n.observed, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	n.raft.RegisterObserver(n.observer)
	go n.routineNotify() // ends with raft; Close waits for it by raftDone
	n.goFunc(n.routineObserve)
	for range readers {
		n.goFunc(func() { n.indexes.routine(n.ctx) })
		n.goFunc(func() { n.asks.routine(n.ctx) })
	}
	n.goFunc(func() { n.probes.routine(n.ctx) })
	n.goFunc(n.routineBatch)
	n.goFunc(n.routineNudge)
	for range forwarders {
		n.goFunc(n.routineForward)
	}
	n.goFunc(n.routineComplete)
	n.goFunc(n.routineDrive)
	n.goFunc(n.routineWarm)
	n.goFunc(n.routineStand)
	n.goFunc(n.routineShrink)
	n.goFunc(n.routineYield)
	n.goFunc(n.routineFollow)
	n.cfg.Network.Handle(kindPropose, n.servePropose)
	n.cfg.Network.Handle(kindRead, n.serveRead)
	n.cfg.Network.Handle(kindFollow, n.serveFollow)
	n.cfg.Network.Handle(kindStand, n.serveStand)
}

// Bootstrap founds a group with this node as its only voter. It does nothing when the node has a log already.
func (n *Node) Bootstrap() error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.leave()
	self := raft.Server{ID: raft.ServerID(n.cfg.ID), Address: raft.ServerAddress(n.cfg.ID)}
	err := n.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{self}}).Error()
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("bootstrap raft: %w", err)
	}
	return nil
}

// Stopped returns why the store applies no more entries, or nil while it does: a newer version wrote one. The node
// goes on replicating, so that its vote and its log count, but it does not lead.
func (n *Node) Stopped() error { return n.fsm.stopped() }

// diskFailed is called once, when the guard breaks. From here on nothing leaves this node.
func (n *Node) diskFailed(cause error) {
	n.cfg.Logger.Error("disk failed", "error", cause)
	if n.transport != nil {
		n.transport.sever()
	}
	n.cfg.Fatal(cause)
}

// storeStopped is called once, from raft's goroutine, when the store met what it does not understand.
func (n *Node) storeStopped(cause error) {
	n.cfg.Logger.Error("store stopped: a newer version of hanse is needed", "error", cause)
	n.offices.signal()
}

// enter begins a call; leave ends it. Close waits for all calls.
func (n *Node) enter() error {
	n.life.Lock()
	defer n.life.Unlock()
	if n.life.closing {
		return ErrClosed
	}
	n.work.Add(1)
	return nil
}

func (n *Node) leave() { n.work.Done() }

// goFunc runs f; Close waits for it. Called by Open, or from a goroutine that Close waits for already.
func (n *Node) goFunc(f func()) {
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		f()
	}()
}

// bound makes a context that ends with the node's.
func (n *Node) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(n.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Close ends the calls under way, then raft, then the transport, then the files. It returns when nothing of the node
// runs any more; only a disk operation that hangs is left behind, and said so.
func (n *Node) Close() error {
	n.life.Lock()
	if n.life.closing {
		n.life.Unlock()
		<-n.life.closed
		return n.life.err
	}
	n.life.closing = true
	n.life.Unlock()
	n.life.err = n.close()
	close(n.life.closed)
	return n.life.err
}

func (n *Node) close() error {
	n.cancel()
	n.proposals.close()
	n.reads.close()
	if n.guard.isBroken() {
		return n.abandon()
	}
	n.work.Wait() // raft still runs: it answers what our goroutines wait for
	n.raft.DeregisterObserver(n.observer)
	down := n.raft.Shutdown()
	n.transport.Close()
	down.Error()
	close(n.raftDone)
	n.writer.end()
	if n.closer != nil {
		return n.closer.Close()
	}
	return nil
}

// abandon is close when the disk failed: raft may hang in it for ever, and answers nobody. The process is about to end
// anyway.
func (n *Node) abandon() error {
	down := n.raft.Shutdown()
	n.transport.Close()
	gone := make(chan struct{})
	go func() {
		down.Error()
		n.work.Wait()
		close(n.raftDone)
		n.writer.end()
		if n.closer != nil {
			n.closer.Close()
		}
		close(gone)
	}()
	t := time.NewTimer(stuckClose)
	defer t.Stop()
	select {
	case <-gone:
		return n.guard.err()
	case <-t.C:
		return fmt.Errorf("close consensus: a disk operation hangs: %w", n.guard.err())
	}
}

// gated holds admission back until the node is whole: peers may speak as soon as the transport is there.
type gated struct {
	n    *Node
	open <-chan struct{}
}

func (g gated) admitStream(from MemberID) error  { <-g.open; return g.n.admitStream(from) }
func (g gated) admit(from MemberID, c any) error { <-g.open; return g.n.admit(from, c) }

func (g gated) skipKnown(req *raft.AppendEntriesRequest) { g.n.skipKnown(req) }
func (g gated) install(from MemberID, req *raft.InstallSnapshotRequest, s spooled) (any, error) {
	return g.n.install(from, req, s)
}
func (g gated) isOverdue() bool { return g.n.isOverdue() }

func (g gated) answerPreVote(req *raft.RequestPreVoteRequest) (*raft.RequestPreVoteResponse, bool) {
	return g.n.answerPreVote(req)
}
