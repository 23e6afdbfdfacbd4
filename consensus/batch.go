package consensus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

const (
	// queued bounds the submissions that wait for the leader's batcher, inFlight the entries between it and the
	// store. Both are the back-pressure that keeps a large write from holding up heartbeats.
	queued   = 256
	inFlight = 16
	// entryRoom is what the commands of one entry may take.
	entryRoom = store.MaxEntry - store.EntryOverhead
)

// submission is a group of commands of one proposer that goes into one entry of the log.
//
//	waiting --(batcher)--> taken --> answered
//	waiting --(its context ends)--> dropped
type submission struct {
	commands []store.Command
	size     int
	state    atomic.Int32
	answer   chan answer // buffered
}

type answer struct {
	results []store.Result
	err     error
}

const (
	submissionWaiting int32 = iota
	submissionTaken
	submissionDropped
)

func newSubmission(commands []store.Command) (*submission, error) {
	s := &submission{commands: commands, answer: make(chan answer, 1)}
	for _, c := range commands {
		if err := c.Validate(); err != nil {
			return nil, err
		}
		size, err := c.Size()
		if err != nil {
			return nil, err
		}
		s.size += size
	}
	if s.size > entryRoom || len(commands) > store.MaxCommands {
		return nil, fmt.Errorf("%d commands of %d bytes: %w", len(commands), s.size, store.ErrTooLarge)
	}
	return s, nil
}

// appendLocally puts commands into the log of this member, which must lead, and returns their results once its store
// has applied them. The commands are stamped with the proposer and the time. Of its errors errNotLeading says that
// surely nothing was appended, errDoubt that it is not known.
func (n *Node) appendLocally(ctx context.Context, proposer MemberID, commands []store.Command) ([]store.Result, error) {
	return n.submit(ctx, n.queue, stamped(commands, proposer, n.cfg.Clock()))
}

// stamped is a copy of the commands with their proposer and time. Whoever tries again may have left the same ones in an entry
// that is still under way, so they must not change.
func stamped(commands []store.Command, proposer MemberID, now time.Time) []store.Command {
	commands = slices.Clone(commands)
	for i := range commands {
		commands[i].Proposer, commands[i].Time = proposer, now.UnixNano()
	}
	return commands
}

// submit puts commands into a queue and waits for their results.
func (n *Node) submit(ctx context.Context, queue chan<- *submission, commands []store.Command) ([]store.Result, error) {
	s, err := newSubmission(commands)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	select {
	case queue <- s:
	case <-ctx.Done():
		return nil, errNotLeading
	case <-n.ctx.Done():
		return nil, errNotLeading
	}
	return s.wait(ctx, n.ctx)
}

func (s *submission) wait(ctx, node context.Context) ([]store.Result, error) {
	select {
	case a := <-s.answer:
		return a.results, a.err
	case <-ctx.Done():
	case <-node.Done():
	}
	if s.state.CompareAndSwap(submissionWaiting, submissionDropped) {
		return nil, errNotLeading
	}
	select {
	case a := <-s.answer:
		return a.results, a.err
	default:
		return nil, errDoubt
	}
}

// entry is one entry of the log on its way.
type entry struct {
	of     []*submission
	future raft.ApplyFuture
}

func (e *entry) fail(err error) {
	for _, s := range e.of {
		s.answer <- answer{err: err}
	}
}

// commands are those of all submissions, in order.
func (e *entry) commands() (all []store.Command) {
	for _, s := range e.of {
		all = append(all, s.commands...)
	}
	return all
}

// done hands each submission its results.
func (e *entry) done(results []store.Result) {
	for _, s := range e.of {
		if len(results) < len(s.commands) {
			s.answer <- answer{err: errDoubt} // cannot be: each command has a result
			continue
		}
		s.answer <- answer{results: results[:len(s.commands)]}
		results = results[len(s.commands):]
	}
}

// waitedForBy says whether the entry is of one member's proposals only.
func (e *entry) waitedForBy(self MemberID) bool {
	return !slices.ContainsFunc(e.of, func(s *submission) bool { return s.commands[0].Proposer != self })
}

// routineBatch packs what waits into entries: while raft writes one, the next fills.
func (n *Node) routineBatch() {
	defer close(n.entries)
	n.packAll(n.queue, n.dispatch)
}

// packAll packs what a queue has into entries, one after the other, until the node closes.
func (n *Node) packAll(queue <-chan *submission, send func(*entry)) {
	var held *submission
	for {
		first := held
		held = nil
		if first == nil {
			select {
			case first = <-queue:
			case <-n.ctx.Done():
				return
			}
		}
		e := &entry{}
		held = pack(queue, e, first)
		if len(e.of) > 0 {
			send(e)
		}
	}
}

// pack fills an entry, and returns the submission that came too late to fit.
func pack(queue <-chan *submission, e *entry, next *submission) (held *submission) {
	size, count := 0, 0
	for next != nil {
		size, count = size+next.size, count+len(next.commands)
		if len(e.of) > 0 && (size > entryRoom || count > store.MaxCommands) {
			return next
		}
		if next.state.CompareAndSwap(submissionWaiting, submissionTaken) {
			e.of = append(e.of, next)
		}
		select {
		case next = <-queue:
		default:
			next = nil
		}
	}
	return nil
}

func (n *Node) dispatch(e *entry) {
	data, err := store.EncodeEntry(e.commands())
	if err != nil {
		e.fail(fmt.Errorf("%w: %w", errRefused, err))
		return
	}
	if !n.apply(e, data) {
		e.fail(errNotLeading)
		return
	}
	n.entries <- e
}

// apply hands an entry to raft, unless this node does not lead, or not any more.
func (n *Node) apply(e *entry, data []byte) bool {
	n.dispatching.Lock()
	defer n.dispatching.Unlock()
	o := n.appending()
	if o == nil || !n.hasQuorum(o) {
		return false
	}
	n.pending.Add(1)
	e.future = n.raft.Apply(data, n.pace.get())
	return true
}

// routineComplete answers the proposers in the order of the log, and lets the followers know when nothing else will.
func (n *Node) routineComplete() {
	for e := range n.entries {
		n.complete(e)
		if n.pending.Add(-1) == 0 && len(n.queue) == 0 {
			n.nudges.soon(e.waitedForBy(n.cfg.ID))
		}
	}
}

func (n *Node) complete(e *entry) {
	if err := n.await(e.future); err != nil {
		e.fail(certainty(err))
		return
	}
	a := e.future.Response().(applied)
	if a.err != nil {
		e.fail(fmt.Errorf("%w: %w", errDoubt, a.err))
		return
	}
	e.done(a.results)
}

// await waits for a future of raft, which always comes while the disk does.
func (n *Node) await(f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-n.guard.broken:
		return n.guard.err()
	}
}

// certainty tells apart what raft surely did not append from what it may have.
func certainty(err error) error {
	for _, sure := range []error{raft.ErrNotLeader, raft.ErrEnqueueTimeout, raft.ErrLeadershipTransferInProgress} {
		if errors.Is(err, sure) {
			return fmt.Errorf("%w: %w", errNotLeading, err)
		}
	}
	return fmt.Errorf("%w: %w", errDoubt, err)
}
