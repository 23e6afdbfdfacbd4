package consensus_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/internal/fault"
)

// rawPeer speaks raft over a member's endpoint, past that member's node: what a hostile or a confused peer could send.
func rawPeer(t *testing.T, m *consensustest.Member) *raft.NetworkTransport {
	layer := &rawLayer{Endpoint: m.Endpoint, closed: make(chan struct{})}
	tr := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: layer, MaxPool: 1, Timeout: time.Second, Logger: hclog.NewNullLogger(),
	})
	t.Cleanup(func() { tr.CloseStreams(); tr.Close() })
	return tr
}

func header(id consensus.MemberID) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(id)}
}

func TestHeartbeatOfNewTerm(t *testing.T) {
	// hashicorp/raft issue 695: raft handles heartbeats beside its main loop, which then writes its own entries with
	// the new leader's term. writtenInNewTerm says whether an old leader did.
	writtenInNewTerm := func(t *testing.T, tune func(*consensus.Config)) (written bool) {
		bubble(t, 3, time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = func(_ *consensustest.Member, c *consensus.Config) { tune(c) }
			g.Found(3)
			leader := g.Leader()
			next := g.Members[1]
			if next == leader {
				next = g.Members[2]
			}
			g.Kill(next)
			next.Endpoint.Up()
			term := leader.Node().Status().Term
			last := leader.Node().Status().Last
			peer := rawPeer(t, next)
			var resp raft.AppendEntriesResponse
			id, at := raft.ServerID(leader.ID), raft.ServerAddress(leader.ID)
			//lint:ignore SA1019 raft's own leaders still fill it
			req := &raft.AppendEntriesRequest{RPCHeader: header(next.ID), Term: term + 1, Leader: []byte(next.ID)}
			if err := peer.AppendEntries(id, at, req, &resp); err != nil {
				t.Fatal(err)
			}
			g.Net.Isolate(leader.ID, true) // from here on nobody else writes to its log
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			g.Put(ctx, leader, "/k", "written by the old leader")
			for i := last + 1; ; i++ {
				var l raft.Log
				if leader.Disk.GetLog(i, &l) != nil {
					return
				}
				written = written || l.Term == term+1 && l.Type == raft.LogCommand
			}
		})
		return written
	}
	t.Run("an old leader does not write with the new leader's term", func(t *testing.T) {
		for range 5 {
			if writtenInNewTerm(t, func(*consensus.Config) {}) {
				t.Fatal("the old leader wrote an entry of the new term")
			}
		}
	})
	t.Run("with the fast path of raft it does, so the answer is still needed", func(t *testing.T) {
		for range 5 {
			if writtenInNewTerm(t, with(fault.Set{HeartbeatFastPath: true})) {
				return
			}
		}
		t.Error("raft no longer shows issue 695: drop the no-op heartbeat handler?")
	})
}
