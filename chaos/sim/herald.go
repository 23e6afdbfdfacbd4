package sim

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/transport"
)

// herald speaks for a member whose power is gone, with its key and from its address: one heartbeat, as of a leader that
// was just elected, to the one in office. That one must step down, and write nothing in the name of the new term. The
// real thing takes a paused process, which virtual time has none of.
func (p *player) herald(a *actor, e Event) {
	l := p.leader()
	if l == nil || l == a || a.never {
		return
	}
	core := l.Live()
	a.life.Lock()
	defer a.life.Unlock()
	if core == nil || !a.Running() {
		return
	}
	id := a.ID()
	p.crash(a)
	if identity, err := transport.LoadIdentity(a.dir, nil); err == nil {
		p.beat(a, identity, core.Node(), raft.ServerID(id), core.Node().Status().Term+1)
	}
	p.during(e)
	p.start(a)
}

// beat sends the heartbeat.
func (p *player) beat(a *actor, identity transport.Identity, to *consensus.Node, from raft.ServerID, term uint64) {
	view := p.leaderView()
	if view == nil {
		return
	}
	endpoint, err := transport.Listen(transport.Config{Identity: identity, Directory: view, Conn: p.fleet.Net.Listen(a.addr), Removed: func(transport.MemberID) {}})
	if err != nil {
		p.wrong("herald", "socket of %s: %v", a.Name, err)
		return
	}
	defer endpoint.Close()
	layer := dialOnly{endpoint: endpoint, closed: make(chan struct{})}
	rpc := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: layer, MaxPool: 1, Timeout: 2 * time.Second, Logger: hclog.NewNullLogger()})
	defer rpc.Close()
	defer rpc.CloseStreams()
	//lint:ignore SA1019 raft's own leaders still fill it
	req := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from), Addr: []byte(from)}, Term: term, Leader: []byte(from)}
	leader := to.Status().ID
	rpc.AppendEntries(raft.ServerID(leader), raft.ServerAddress(leader), req, &raft.AppendEntriesResponse{}) // what it answers does not matter
}

// leaderView is a directory of all that the leader knows.
func (p *player) leaderView() transport.Directory {
	if l := p.leader(); l != nil {
		if core := l.Live(); core != nil {
			return allOf{core.Store().View()}
		}
	}
	return nil
}

// dialOnly is a raft.StreamLayer on which nobody calls.
type dialOnly struct {
	endpoint *transport.Endpoint
	closed   chan struct{}
}

// Dial implements raft.StreamLayer.
func (d dialOnly) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.endpoint.Open(ctx, transport.MemberID(to), transport.Control, "raft-control")
}

// Accept implements raft.StreamLayer.
func (d dialOnly) Accept() (net.Conn, error) {
	<-d.closed
	return nil, net.ErrClosed
}

// Close implements raft.StreamLayer.
func (d dialOnly) Close() error { close(d.closed); return nil }

// Addr implements raft.StreamLayer.
func (d dialOnly) Addr() net.Addr { return &net.UnixAddr{Name: "herald", Net: "quic"} }
