// Package consensustest has what tests of consensus, and of what is built on it, need: a network in memory with
// latency and partitions, disks that fail, stall and survive a restart, and a group of nodes on both. All of it works
// in the virtual time of testing/synctest.
package consensustest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
)

// idleTimeout is how long a partition lasts before the connections across it break.
const idleTimeout = 5 * time.Second

// Network joins endpoints. Bytes across a partition are kept and arrive when it heals, as by retransmission, unless
// it lasts so long that the connection breaks.
type Network struct {
	mu        sync.Mutex
	endpoints map[consensus.MemberID]*Endpoint
	cuts      map[pair]bool
	latency   func(from, to consensus.MemberID) time.Duration
	bandwidth atomic.Int64 // bytes a second for each stream; 0: no limit
	conns     map[*conn]struct{}
	changed   chan struct{} // closed and replaced when a cut changes
	work      sync.WaitGroup
}

// pair is one direction between two members.
type pair struct{ from, to consensus.MemberID }

// NewNetwork makes a network whose links all take the same time.
func NewNetwork(latency time.Duration) *Network {
	return &Network{
		endpoints: map[consensus.MemberID]*Endpoint{}, cuts: map[pair]bool{}, conns: map[*conn]struct{}{},
		latency: func(_, _ consensus.MemberID) time.Duration { return latency },
		changed: make(chan struct{}),
	}
}

// SetLatency gives each direction between two members its own latency. Call it before traffic flows.
func (n *Network) SetLatency(f func(from, to consensus.MemberID) time.Duration) { n.latency = f }

// SetBandwidth bounds each direction of each stream to as many bytes a second.
func (n *Network) SetBandwidth(bytes int64) { n.bandwidth.Store(bytes) }

// Endpoint is the network as one member has it. Asking again gives the same.
func (n *Network) Endpoint(id consensus.MemberID) *Endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.endpoints[id]
	if e == nil {
		e = &Endpoint{n: n, id: id, up: true, handlers: map[string]func(consensus.MemberID, net.Conn){}}
		n.endpoints[id] = e
	}
	return e
}

// Cut stops what flows between two members, in both directions, or lets it flow again.
func (n *Network) Cut(a, b consensus.MemberID, cut bool) {
	n.set(pair{a, b}, cut)
	n.set(pair{b, a}, cut)
}

// Isolate cuts a member from all others, or joins it to them again.
func (n *Network) Isolate(id consensus.MemberID, cut bool) {
	n.mu.Lock()
	var others []consensus.MemberID
	for o := range n.endpoints {
		if o != id {
			others = append(others, o)
		}
	}
	n.mu.Unlock()
	for _, o := range others {
		n.Cut(id, o, cut)
	}
}

func (n *Network) set(p pair, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cuts[p] == cut {
		return
	}
	n.cuts[p] = cut
	close(n.changed)
	n.changed = make(chan struct{})
	if cut {
		n.breakLater(p)
	}
}

// breakLater resets the connections across a cut that stays.
func (n *Network) breakLater(p pair) {
	healed := n.changed
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		end := time.NewTimer(idleTimeout)
		defer end.Stop()
		for {
			select {
			case <-end.C:
				n.reset(func(c *conn) bool { return c.local == p.from && c.remote == p.to })
				return
			case <-healed:
			}
			n.mu.Lock()
			cut := n.cuts[p]
			healed = n.changed
			n.mu.Unlock()
			if !cut {
				return
			}
		}
	}()
}

func (n *Network) reset(match func(*conn) bool) {
	n.mu.Lock()
	var broken []*conn
	for c := range n.conns {
		if match(c) {
			broken = append(broken, c)
		}
	}
	n.mu.Unlock()
	for _, c := range broken {
		c.reset()
	}
}

// isCut returns also a channel that is closed when that may change.
func (n *Network) isCut(p pair) (bool, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cuts[p], n.changed
}

// Wait waits until no handler runs any more. Close the nodes, and heal or forget the cuts, before.
func (n *Network) Wait() {
	n.mu.Lock()
	for p := range n.cuts {
		n.cuts[p] = false
	}
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	n.work.Wait()
}

// Endpoint is a consensus.Network.
type Endpoint struct {
	n  *Network
	id consensus.MemberID

	mu       sync.Mutex
	up       bool
	handlers map[string]func(consensus.MemberID, net.Conn)
}

// Down breaks all connections of the member and refuses new ones, as when its process was killed. Up ends that.
func (e *Endpoint) Down() {
	e.mu.Lock()
	e.up = false
	e.handlers = map[string]func(consensus.MemberID, net.Conn){}
	e.mu.Unlock()
	e.n.reset(func(c *conn) bool { return c.local == e.id || c.remote == e.id })
}

// Up lets the member take part again.
func (e *Endpoint) Up() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.up = true
}

// Handle implements consensus.Network.
func (e *Endpoint) Handle(kind string, h func(consensus.MemberID, net.Conn)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handlers[kind] = h
}

func (e *Endpoint) handler(kind string) func(consensus.MemberID, net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.up {
		return nil
	}
	return e.handlers[kind]
}

func (e *Endpoint) isUp() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.up
}

var errRefused = errors.New("connection refused")

// Open implements consensus.Network. Across a cut it waits for the end of ctx, or of the cut.
func (e *Endpoint) Open(ctx context.Context, to consensus.MemberID, _ consensus.Class, kind string) (net.Conn, error) {
	for {
		cut, changed := e.n.isCut(pair{e.id, to})
		if !cut {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h := e.n.Endpoint(to).handler(kind)
	if h == nil || !e.isUp() {
		return nil, fmt.Errorf("open %s to %s: %w", kind, to, errRefused)
	}
	near, far := e.n.pipe(e.id, to)
	e.n.work.Add(1)
	go func() {
		defer e.n.work.Done()
		h(e.id, far)
	}()
	return near, nil
}
