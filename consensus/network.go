package consensus

import (
	"context"
	"net"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// MemberID is the incarnation id of a member. It is its raft server id and its raft address as well.
type MemberID = store.MemberID

// Class says which of the two connections between a pair of members a stream uses.
type Class uint8

// Control carries what must never wait behind payload: heartbeats, votes, forwarded writes, reads. Data carries
// log entries and snapshots.
const (
	Control Class = iota
	Data
)

// Kinds of streams that this package opens and handles. All but the raft kinds are answered by any member.
const (
	kindRaftControl = "raft-control"
	kindRaftData    = "raft-data"
	kindPropose     = "propose"
	kindRead        = "read"
	kindFollow      = "follow"
	kindStand       = "stand"
)

// Network opens streams to other members and hands over those that they open. The member at the other end of a
// stream is known from the connection that carries it, never from what it says.
type Network interface {
	// Open opens a stream. It may return before the peer has seen it. It is called from many goroutines.
	Open(ctx context.Context, to MemberID, class Class, kind string) (net.Conn, error)
	// Handle registers h for the streams that others open with the kind, before traffic flows. Each call of h runs
	// on a goroutine of its own, owns c, and returns when it is done with it.
	Handle(kind string, h func(from MemberID, c net.Conn))
}
