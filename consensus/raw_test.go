package consensus_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func put(key, value string) consensus.Proposal {
	return consensus.Proposal{Txn: store.Txn{Then: []store.Op{store.Put(key, []byte(value))}}}
}

// rawLayer is a raft.StreamLayer that only dials, as the member of its endpoint.
type rawLayer struct {
	*consensustest.Endpoint
	once   sync.Once
	closed chan struct{}
}

func (l *rawLayer) Dial(a raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.Open(ctx, consensus.MemberID(a), consensus.Control, "raft-control")
}

func (l *rawLayer) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l *rawLayer) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *rawLayer) Addr() net.Addr { return &net.UnixAddr{Name: "raw", Net: "memory"} }

// noise is a value without repetitions, the same at every call.
func noise(size int) string {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}
