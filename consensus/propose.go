package consensus

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// chunkWindow is how many pieces of a large value are under way at once.
const chunkWindow = 4

// Proposal is a transaction that this member asks the fleet to apply.
type Proposal struct {
	// Person is who asked this member; empty: the member itself.
	Person string
	// Term, when set, makes it a decision of the leader of that term: it is never handed to another member, and void
	// in any other term.
	Term uint64
	Txn  store.Txn
}

// Propose applies a transaction. It may be called on any member; it finds the leader and tries until ctx ends, and
// the transaction is applied at most once however often it had to try. When it returns without error, the local
// store has the result's revision.
//
// An outcome that the store decided is in Result.Err and is returned as the error, too: *store.Conflict,
// *store.Forbidden, *store.Invalid or store.ErrStaleTerm. Otherwise the error is ErrNoQuorum, if the transaction was
// surely not written; ErrUncertain, if it may have been; or ErrClosed.
func (n *Node) Propose(ctx context.Context, p Proposal) (store.Result, error) {
	if err := n.enter(); err != nil {
		return store.Result{}, err
	}
	defer n.leave()
	ctx, cancel := n.bound(ctx)
	defer cancel()
	if err := p.Txn.Validate(); err != nil {
		return store.Result{Err: err}, err
	}
	seq, err := n.sequence.begin(ctx)
	if err != nil {
		return store.Result{}, fmt.Errorf("%w: %w", ErrNoQuorum, err)
	}
	defer n.sequence.done(seq)
	return n.propose(ctx, p, seq)
}

func (n *Node) propose(ctx context.Context, p Proposal, seq uint64) (store.Result, error) {
	txn, chunks := store.SplitTxn(p.Txn)
	c := store.Command{Version: n.cfg.Store.View().Version(), ID: n.commandID(seq), Person: p.Person, Term: p.Term, Txn: &txn}
	if p.Term != 0 {
		c.Epoch = n.cfg.Store.View().Epoch().ID
	}
	if size, err := c.Size(); err != nil || size > entryRoom {
		err := &store.Invalid{Reason: fmt.Sprintf("transaction of %d bytes without its large values", size)}
		return store.Result{Err: err}, err
	}
	missing := n.cfg.Store.View().Lacks(chunks) // the others are named by MissingChunks, should they go meanwhile
	a := &attempts{node: n, ctx: ctx, term: p.Term}
	for {
		if r, err := n.writeChunks(ctx, missing); err != nil {
			return r, a.chunksFailed(err)
		}
		results, err := a.submit([]store.Command{c})
		if err != nil {
			return store.Result{}, err
		}
		var m *store.MissingChunks
		if !errors.As(results[0].Err, &m) {
			return n.settle(ctx, results[0])
		}
		if missing = pick(chunks, m.Hashes); len(missing) == 0 {
			return results[0], results[0].Err
		}
	}
}

func (n *Node) commandID(seq uint64) store.CommandID {
	return store.CommandID{Incarnation: n.cfg.ID, Seq: seq}
}

// settle lets the local store catch up with an outcome, a conflict included, so that whoever looks next sees it.
func (n *Node) settle(ctx context.Context, r store.Result) (store.Result, error) {
	if errors.Is(r.Err, store.ErrTooOld) {
		return r, fmt.Errorf("%w: %w", ErrUncertain, r.Err)
	}
	err := n.cfg.Store.WaitFor(ctx, r.Revision)
	switch {
	case r.Err != nil:
		return r, r.Err
	case err != nil:
		return r, fmt.Errorf("%w here: revision %d has not arrived: %w", ErrUncertain, r.Revision, err)
	}
	return r, nil
}

// writeChunks writes the parts of large values, a few entries at a time. Chunks are content: writing one twice is
// harmless, and nobody sees one that no key refers to.
func (n *Node) writeChunks(ctx context.Context, chunks []store.Chunk) (store.Result, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(chunkWindow)
	for len(chunks) > 0 && ctx.Err() == nil {
		var piece []store.Command
		piece, chunks = n.piece(chunks)
		g.Go(func() error { return n.writePiece(ctx, piece) })
	}
	err := g.Wait()
	if errors.As(err, new(*store.Forbidden)) || errors.As(err, new(*store.Invalid)) {
		return store.Result{Err: err}, err
	}
	return store.Result{}, err
}

func (n *Node) writePiece(ctx context.Context, piece []store.Command) error {
	a := &attempts{node: n, ctx: ctx}
	results, err := a.submit(piece)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// piece takes as many chunks as fit into an entry.
func (n *Node) piece(chunks []store.Chunk) (commands []store.Command, rest []store.Chunk) {
	const perCommand = 512 // what a command with the longest names adds to its chunk
	size := 0
	for i, c := range chunks {
		size += len(c.Data) + perCommand + len(n.cfg.ID)*2
		if i > 0 && size > entryRoom {
			return commands, chunks[i:]
		}
		commands = append(commands, store.Command{Version: n.cfg.Store.View().Version(), ID: n.commandID(0), Chunk: c.Data})
	}
	return commands, nil
}

// pick returns those of the chunks that the hashes name.
func pick(chunks []store.Chunk, hashes []store.Hash) []store.Chunk {
	wanted := make(map[store.Hash]bool, len(hashes))
	for _, h := range hashes {
		wanted[h] = true
	}
	var out []store.Chunk
	for _, c := range chunks {
		if wanted[c.Hash] {
			out = append(out, c)
		}
	}
	return out
}

// attempts repeats one submission until it has an outcome, and remembers whether an attempt may have been appended.
type attempts struct {
	node  *Node
	ctx   context.Context
	term  uint64
	doubt bool
}

func (a *attempts) submit(commands []store.Command) ([]store.Result, error) {
	retry := a.node.newRetry()
	for {
		if a.node.cfg.Faults.FreshSequence {
			a.node.renumber(commands)
		}
		results, err := a.once(commands)
		switch {
		case err == nil:
			return results, nil
		case errors.Is(err, errDoubt):
			a.doubt = true
		case errors.Is(err, errRefused), errors.Is(err, store.ErrStaleTerm):
			return nil, a.outcome(err)
		}
		if after := told(err); after > 0 {
			a.node.pause(a.ctx, after)
		}
		if !retry.wait(a.ctx) {
			return nil, a.outcome(err)
		}
	}
}

// chunksFailed is the outcome when chunks could not be written: that chunks may have been says nothing about the
// transaction.
func (a *attempts) chunksFailed(err error) error {
	switch {
	case errors.As(err, new(*store.Forbidden)), errors.As(err, new(*store.Invalid)):
		return err
	case a.doubt:
		return fmt.Errorf("%w: write chunks: %w", ErrUncertain, err)
	}
	return fmt.Errorf("%w: write chunks: %v", ErrNoQuorum, err)
}

// outcome makes the last error one that callers decide on.
func (a *attempts) outcome(err error) error {
	switch {
	case errors.Is(err, ErrNoQuorum), errors.Is(err, ErrUncertain):
		return err
	case a.doubt:
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	case errors.Is(err, store.ErrStaleTerm), errors.Is(err, errRefused):
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoQuorum, err)
}

func (a *attempts) once(commands []store.Command) ([]store.Result, error) {
	n := a.node
	if o := n.leading(); a.term != 0 && (o == nil || o.term != a.term) {
		return nil, store.ErrStaleTerm
	}
	switch {
	case n.appending() != nil:
		return n.appendLocally(a.ctx, n.cfg.ID, commands)
	case a.term != 0:
		return nil, errNotLeading // it is handing over, and may yet fail to
	}
	return n.forward(a.ctx, commands)
}

// renumber gives commands numbers that nobody has: that is what Faults.FreshSequence is. Chunks have none.
func (n *Node) renumber(commands []store.Command) {
	for i := range commands {
		if commands[i].ID.Seq != 0 {
			commands[i].ID.Seq = n.sequence.unused()
		}
	}
}
