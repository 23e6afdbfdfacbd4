package consensus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

const (
	// maxForwards bounds the requests of a kind that a member has under way, and so its streams.
	maxForwards = 32
	// idleStreams bounds the streams of a kind that are kept for the next request.
	idleStreams = 8
	// keptIdle is how long: hundreds of members ask the leader something once, and a stream holds a connection.
	keptIdle = 30 * time.Second
)

// caller keeps streams of one kind to other members and makes one request at a time on each.
type caller struct {
	net   Network
	kind  string
	slots chan struct{}

	mu struct {
		sync.Mutex
		idle   map[MemberID][]*idleStream
		busy   map[*request]struct{}
		closed bool
	}
}

// idleStream is a stream that waits for its next request, until the timer takes it away.
type idleStream struct {
	net.Conn
	end *time.Timer
}

// Close closes the stream and its timer.
func (k *idleStream) Close() error {
	k.end.Stop()
	return k.Conn.Close()
}

// request is one call under way.
type request struct {
	to     MemberID
	cancel context.CancelFunc
}

func newCaller(n Network, kind string) *caller {
	c := &caller{net: n, kind: kind, slots: make(chan struct{}, maxForwards)}
	c.mu.idle, c.mu.busy = map[MemberID][]*idleStream{}, map[*request]struct{}{}
	return c
}

// call makes one request. sent is false when surely no byte of it left. A kept stream may have died meanwhile, so a
// request that fails on one is not tried again here: the callers of call repeat anyway.
func (c *caller) call(ctx context.Context, to MemberID, question, answer any) (sent bool, err error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	ctx, done, err := c.begin(ctx, to)
	if err != nil {
		return false, err
	}
	defer done()
	conn := c.takeIdle(to)
	if conn == nil {
		if conn, err = c.net.Open(ctx, to, Control, c.kind); err != nil {
			return false, fmt.Errorf("reach %q: %w", to, err)
		}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = writeFrame(conn, question)
	if err == nil {
		err = readFrame(conn, answer)
	}
	if stop() && err == nil {
		c.keep(to, conn)
	} else {
		conn.Close()
	}
	return true, err
}

// begin notes a request, which then ends when only is called with another leader.
func (c *caller) begin(ctx context.Context, to MemberID) (context.Context, func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &request{to: to, cancel: cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		cancel()
		return nil, nil, ErrClosed
	}
	c.mu.busy[r] = struct{}{}
	return ctx, func() {
		cancel()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.mu.busy, r)
	}, nil
}

// takeIdle returns a kept stream, or nil.
func (c *caller) takeIdle(to MemberID) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := c.mu.idle[to]
	if len(free) == 0 {
		return nil
	}
	kept := free[len(free)-1]
	c.mu.idle[to] = free[:len(free)-1]
	kept.end.Stop()
	return kept.Conn
}

// keep keeps a stream that is still good for the next request.
func (c *caller) keep(to MemberID, conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed || len(c.mu.idle[to]) >= idleStreams {
		conn.Close()
		return
	}
	kept := &idleStream{Conn: conn}
	kept.end = time.AfterFunc(keptIdle, func() { c.expire(to, kept) })
	c.mu.idle[to] = append(c.mu.idle[to], kept)
}

// expire closes a stream that has been idle for long, unless it is in use again.
func (c *caller) expire(to MemberID, kept *idleStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.mu.idle[to], kept); i >= 0 {
		c.mu.idle[to] = slices.Delete(c.mu.idle[to], i, i+1)
		kept.Close()
	}
}

// drop closes the idle streams to a member: its network may have swallowed them.
func (c *caller) drop(to MemberID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kept := range c.mu.idle[to] {
		kept.Close()
	}
	delete(c.mu.idle, to)
}

// only ends the requests to all others: whoever waits for an answer from a leader of the past should rather ask this
// one.
func (c *caller) only(leader MemberID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.mu.busy {
		if r.to != leader {
			r.cancel()
		}
	}
	for to, conns := range c.mu.idle {
		if to == leader {
			continue
		}
		for _, kept := range conns {
			kept.Close()
		}
		delete(c.mu.idle, to)
	}
}

func (c *caller) close() {
	c.mu.Lock()
	c.mu.closed = true
	c.mu.Unlock()
	c.only("")
}

// forwarders is how many requests with commands a member has under way. While all of them wait for answers, what comes
// gathers, and is the next request together.
const forwarders = 8

// forward asks the leader to append the commands, along with what else waits here. Its errors are those of appendLocally.
func (n *Node) forward(ctx context.Context, commands []store.Command) ([]store.Result, error) {
	return n.submit(ctx, n.outgoing, commands)
}

// routineForward packs what waits into requests; there are several such goroutines.
func (n *Node) routineForward() {
	n.packAll(n.outgoing, func(e *entry) {
		leader, ok := n.leaderToAsk()
		if !ok {
			e.fail(errNoLeader)
			return
		}
		results, err := n.askToAppend(n.ctx, leader, e.commands())
		if err != nil {
			e.fail(err)
			return
		}
		e.done(results)
	})
}

// askToAppend sends one request with the commands.
func (n *Node) askToAppend(ctx context.Context, leader MemberID, commands []store.Command) ([]store.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timing.DataRPC)
	defer cancel()
	var a proposeAnswer
	sent, err := n.proposals.call(ctx, leader, proposeRequest{Version: frameVersion, Commands: commands}, &a)
	switch {
	case err != nil && !sent:
		return nil, fmt.Errorf("%w: %w", errNotLeading, err)
	case err != nil:
		n.proposals.drop(leader)
		return nil, fmt.Errorf("%w: %w", errDoubt, err)
	}
	if a.Code == codeSlowDown {
		return nil, &slowDown{after: time.Duration(min(a.After, uint64(longestWait/time.Millisecond))) * time.Millisecond}
	}
	if known, _, _ := n.Leader(); a.Code != codeDone && leader == known && a.Heir != n.cfg.ID && n.servers()[a.Heir] {
		n.expect(a.Heir, "")
	}
	if err := a.Code.err(); err != nil {
		return nil, err
	}
	if len(a.Results) != len(commands) {
		return nil, fmt.Errorf("%w: %d results for %d commands", errDoubt, len(a.Results), len(commands))
	}
	results, err := decodeResults(a.Results)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDoubt, err)
	}
	return results, nil
}

func (c code) err() error {
	switch c {
	case codeDone:
		return nil
	case codeNotLeading:
		return errNotLeading
	case codeRefused:
		return errRefused
	}
	return errDoubt
}

func codeOf(err error) code {
	switch {
	case err == nil:
		return codeDone
	case errors.Is(err, errNotLeading):
		return codeNotLeading
	case errors.Is(err, errRefused):
		return codeRefused
	case told(err) > 0:
		return codeSlowDown
	}
	return codeUncertain
}

// servePropose answers the proposals of one stream.
func (n *Node) servePropose(from MemberID, c net.Conn) {
	n.serve(c, func() error {
		var r proposeRequest
		if err := readFrame(c, &r); err != nil {
			return err
		}
		results, err := n.accept(from, r)
		encoded, encodeErr := encodeResults(results)
		if encodeErr != nil {
			return encodeErr
		}
		a := proposeAnswer{Code: codeOf(err), Results: encoded, After: uint64(told(err).Milliseconds())}
		if heir, ok := n.successor(); ok && a.Code != codeDone {
			a.Heir = heir
		}
		return writeFrame(c, a)
	})
}

// accept appends what a member proposes. Whatever the commands say of their proposer is overwritten; what only this
// leader may claim is refused.
func (n *Node) accept(from MemberID, r proposeRequest) ([]store.Result, error) {
	if r.Version != frameVersion || len(r.Commands) == 0 {
		return nil, errRefused
	}
	for _, c := range r.Commands {
		if c.ID.Incarnation != from || c.Term != 0 {
			return nil, errRefused
		}
	}
	if n.awaitOffice() == nil {
		return nil, errNotLeading
	}
	if _, gone := n.cfg.Store.View().Removed(from); gone {
		return nil, errRefused // applying would refuse it too, after it had filled the log
	}
	done, err := n.quotas.enter(from, r.Commands, time.Now())
	if err != nil {
		return nil, err
	}
	defer done()
	return n.appendLocally(n.ctx, from, r.Commands)
}

// serve answers requests on a stream until the peer closes it, an answer fails, or the node closes.
func (n *Node) serve(c net.Conn, one func() error) {
	defer c.Close()
	if n.enter() != nil {
		return
	}
	defer n.leave()
	defer context.AfterFunc(n.ctx, func() { c.Close() })()
	for one() == nil {
	}
}
