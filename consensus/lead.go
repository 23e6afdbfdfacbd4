package consensus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// office is one period in which this node is raft's leader.
//
//	elected --(barrier applied)--> established --(raft steps down | disk breaks | Close)--> over
type office struct {
	ctx    context.Context // ends when it is over
	cancel context.CancelFunc
	since  time.Time
	// established is closed once everything of earlier terms is applied here. term is set before.
	established chan struct{}
	term        uint64
}

// offices keeps the current office and tells others of changes.
type offices struct {
	sync.Mutex
	current *office
	changed chan struct{} // closed and replaced at every change of office or of the known leader
}

func (o *offices) get() (*office, <-chan struct{}) {
	o.Lock()
	defer o.Unlock()
	return o.current, o.changed
}

func (o *offices) set(next *office) {
	o.Lock()
	defer o.Unlock()
	if o.current != nil {
		o.current.cancel()
	}
	o.current = next
	o.signalLocked()
}

func (o *offices) signal() {
	o.Lock()
	defer o.Unlock()
	o.signalLocked()
}

func (o *offices) signalLocked() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// routineNotify follows raft in and out of office. It never blocks for long: raft's main loop waits for it.
func (n *Node) routineNotify() {
	for {
		select {
		case leads := <-n.notify:
			if !leads {
				n.offices.set(nil)
				n.reload()
				continue
			}
			n.enterOffice()
		case <-n.guard.broken:
			n.offices.set(nil)
			n.drainNotify()
			return
		case <-n.ctx.Done():
			n.offices.set(nil)
			n.drainNotify()
			return
		}
	}
}

// drainNotify keeps raft from waiting for us until it has ended.
func (n *Node) drainNotify() {
	for {
		select {
		case <-n.notify:
		case <-n.raftDone:
			return
		}
	}
}

func (n *Node) enterOffice() {
	if n.enter() != nil {
		return
	}
	n.transport.forget()
	o := &office{since: time.Now(), established: make(chan struct{})}
	o.ctx, o.cancel = context.WithCancel(n.ctx)
	n.offices.set(o)
	n.reload()
	go func() {
		defer n.leave()
		n.establish(o)
	}()
}

// establish waits until this leader has applied all that earlier leaders committed, and finds out its term: the one
// that did not change around a barrier that succeeded.
func (n *Node) establish(o *office) {
	for o.ctx.Err() == nil {
		term := n.raft.CurrentTerm()
		err := n.await(n.raft.Barrier(n.pace.get()))
		if err != nil || n.raft.CurrentTerm() != term || n.fsm.stopped() != nil {
			n.pause(o.ctx, n.cfg.Timing.RetryMin)
			continue
		}
		o.term = term
		n.cfg.Logger.Info("leader elected", "term", term, "ready", time.Since(o.since))
		close(o.established)
		n.offices.signal()
		return
	}
}

// serving returns the office if it is not over.
func (n *Node) serving() *office {
	o, _ := n.offices.get()
	if o == nil || o.ctx.Err() != nil || n.fsm.stopped() != nil {
		return nil
	}
	return o
}

// appending returns the office if it is not over, nor being handed over. What is appended in it is applied after everything
// that earlier leaders committed, so proposals need not wait until it is established; only what looks at the store does.
func (n *Node) appending() *office {
	if _, handsOver := n.successor(); handsOver {
		return nil
	}
	return n.serving()
}

// leading returns the office if it is established and not over.
func (n *Node) leading() *office {
	o := n.serving()
	if o == nil {
		return nil
	}
	select {
	case <-o.established:
		return o
	default:
		return nil
	}
}

// routineObserve wakes those who wait for a leader, and those who wait for one that is none any more.
func (n *Node) routineObserve() {
	for {
		select {
		case <-n.observed:
			n.offices.signal()
			if leader, _, ok := n.Leader(); ok {
				if _, another := n.successor(); another || leader != n.cfg.ID { // one that is called twice says so while it leads
					n.heir.forget()
				}
				n.proposals.only(leader)
				n.reads.only(leader)
			}
		case <-n.ctx.Done():
			return
		}
	}
}

// routineYield hands the leadership on, should this node get it, once its store has stopped: it cannot know what it
// would decide on.
func (n *Node) routineYield() {
	select {
	case <-n.fsm.halted:
	case <-n.ctx.Done():
		return
	}
	for n.ctx.Err() == nil {
		if n.raft.State() == raft.Leader {
			n.offices.set(nil)
			if err := n.await(n.raft.LeadershipTransfer()); err != nil {
				n.cfg.Logger.Warn("leadership not handed on", "error", err)
			}
		}
		n.pause(n.ctx, n.cfg.Timing.RetryMax)
	}
}

// Leader returns the leader that this member knows of, and the term it knows of. A leader whose disk or store has
// stopped does not count itself.
func (n *Node) Leader() (id MemberID, term uint64, ok bool) {
	_, leader := n.raft.LeaderWithID()
	if n.ctx.Err() != nil || n.guard.isBroken() {
		return "", n.raft.CurrentTerm(), false
	}
	return MemberID(leader), n.raft.CurrentTerm(), leader != ""
}

// WhileLeading runs fn each time this node leads and has applied all that was committed before, until ctx ends or the
// node closes. The context that fn gets ends when the office does; a Proposal that carries its term is refused after
// that, whoever leads then. WhileLeading waits for fn to return, and runs it once an office.
func (n *Node) WhileLeading(ctx context.Context, fn func(ctx context.Context, term uint64)) {
	if n.enter() != nil {
		return
	}
	defer n.leave()
	var last *office
	for {
		o, changed := n.offices.get()
		if o != last && o != nil && n.leading() == o {
			last = o
			n.inOffice(ctx, o, fn)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) inOffice(ctx context.Context, o *office, fn func(context.Context, uint64)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.ctx, cancel)()
	fn(ctx, o.term)
}

// Transfer hands the leadership to another voter, the one that is furthest. It fails when this node does not lead. Where ctx
// has ended none is begun; one that has begun goes on to its end, within an election timeout.
func (n *Node) Transfer(ctx context.Context) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.leave()
	id, ok := n.furthest()
	if !ok {
		return n.transferred(n.raft.LeadershipTransfer())
	}
	return n.handOver(ctx, id)
}

// TransferTo is Transfer to a voter of the caller's choice.
func (n *Node) TransferTo(ctx context.Context, id MemberID) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.leave()
	return n.handOver(ctx, id)
}

// transferred waits for raft's answer, which comes within an election timeout. No context ends that: what has begun cannot be
// called back, and until it has failed this node appends nothing.
func (n *Node) transferred(f raft.Future) error {
	if err := n.await(f); err != nil {
		return fmt.Errorf("transfer leadership: %w", err)
	}
	return nil
}

// hasQuorum says whether enough voters answered within the timeout. raft asks itself the same, but on a timer.
func (n *Node) hasQuorum(o *office) bool {
	voters, alive := 0, 0
	for id, votes := range n.servers() {
		if !votes {
			continue
		}
		voters++
		if id == n.cfg.ID || n.inContact(o, id) {
			alive++
		}
	}
	return alive > voters/2
}

// inContact says whether a member answered within the timeout; a new leader gives everyone one.
func (n *Node) inContact(o *office, id MemberID) bool {
	heard := n.transport.contact(id).heard
	if o.since.After(heard) {
		heard = o.since
	}
	return time.Since(heard) <= n.pace.get()
}

// heardFrom is inContact for who must know: a new leader has heard nobody.
func (n *Node) heardFrom(o *office, id MemberID) bool {
	return !n.transport.contact(id).heard.IsZero() && n.inContact(o, id)
}

func (n *Node) servers() map[MemberID]bool {
	f := n.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return serversOf(f.Configuration())
}
