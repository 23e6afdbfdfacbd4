package consensus

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxStreams bounds the raft streams of one class that a peer may have open to us. raft needs three.
const maxStreams = 16

// streams is a raft.StreamLayer to a single peer over a Network: what it accepts comes from that peer, what it
// dials goes there.
type streams struct {
	net   Network
	peer  MemberID
	class Class
	kind  string

	accepted chan net.Conn
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc

	mu struct {
		sync.Mutex
		open    map[*stream]struct{}
		inbound int
	}
}

func newStreams(n Network, peer MemberID, class Class, kind string) *streams {
	s := &streams{net: n, peer: peer, class: class, kind: kind, accepted: make(chan net.Conn)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.open = map[*stream]struct{}{}
	return s
}

// Accept returns the next stream that the peer opened.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case c := <-s.accepted:
		return c, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Dial opens a stream to the peer, whatever the address says: the two are the same.
func (s *streams) Dial(_ raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	c, err := s.net.Open(ctx, s.peer, s.class, s.kind)
	if err != nil {
		return nil, err
	}
	st, ok := s.adopt(c, false)
	if !ok {
		return nil, net.ErrClosed
	}
	return st, nil
}

// serve hands a stream that the peer opened to Accept and returns when raft has closed it.
func (s *streams) serve(c net.Conn) {
	st, ok := s.adopt(c, true)
	if !ok {
		return
	}
	select {
	case s.accepted <- st:
		<-st.closed
	case <-s.ctx.Done():
		st.Close()
	}
}

func (s *streams) adopt(c net.Conn, inbound bool) (*stream, bool) {
	st := &stream{Conn: c, of: s, inbound: inbound, closed: make(chan struct{})}
	s.mu.Lock()
	full := inbound && s.mu.inbound >= maxStreams
	if s.ctx.Err() != nil || full {
		s.mu.Unlock()
		c.Close()
		return nil, false
	}
	s.mu.open[st] = struct{}{}
	if inbound {
		s.mu.inbound++
	}
	s.mu.Unlock()
	return st, true
}

// Close closes every stream, so that whoever reads or writes one returns.
func (s *streams) Close() error {
	s.mu.Lock()
	s.cancel()
	open := make([]*stream, 0, len(s.mu.open))
	for st := range s.mu.open {
		open = append(open, st)
	}
	s.mu.Unlock()
	for _, st := range open {
		st.Close()
	}
	return nil
}

// Addr is only for raft's logs.
func (s *streams) Addr() net.Addr { return memberAddr(s.peer) }

// stream is a net.Conn that its layer knows of until it is closed.
type stream struct {
	net.Conn
	of      *streams
	inbound bool
	once    sync.Once
	closed  chan struct{}
}

func (st *stream) Close() error {
	err := net.ErrClosed
	st.once.Do(func() {
		err = st.Conn.Close()
		st.of.mu.Lock()
		delete(st.of.mu.open, st)
		if st.inbound {
			st.of.mu.inbound--
		}
		st.of.mu.Unlock()
		close(st.closed)
	})
	return err
}

func (st *stream) RemoteAddr() net.Addr { return memberAddr(st.of.peer) }

// memberAddr is a member id as a net.Addr.
type memberAddr MemberID

func (memberAddr) Network() string  { return "member" }
func (a memberAddr) String() string { return string(a) }
