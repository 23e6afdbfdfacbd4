package relay

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Streams is a relay before one TCP address.
type Streams struct {
	front  net.Listener
	target string
	delay  time.Duration
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

// NewStreams relays connections from a free port of the host to the target; each direction takes the delay. Setting
// one up takes a round trip too.
func NewStreams(host, target string, delay time.Duration) (*Streams, error) {
	front, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	s := &Streams{front: front, target: target, delay: delay, open: map[net.Conn]struct{}{}}
	s.work.Go(s.accept)
	return s, nil
}

// Address is where to connect.
func (s *Streams) Address() string { return s.front.Addr().String() }

// Close breaks every connection.
func (s *Streams) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	err := s.front.Close()
	s.work.Wait()
	return err
}

func (s *Streams) accept() {
	for {
		c, err := s.front.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() { s.join(c) })
	}
}

// join connects one connection to the target. The delay before it is the round trip of its setup.
func (s *Streams) join(c net.Conn) {
	if !s.keep(c) {
		return
	}
	time.Sleep(2 * s.delay)
	back, err := net.Dial("tcp", s.target)
	if err != nil || !s.keep(back) {
		s.drop(c)
		return
	}
	s.work.Go(func() { s.carry(c, back) })
	s.carry(back, c)
}

func (s *Streams) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Streams) drop(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Close()
	delete(s.open, c)
}

// carry passes bytes on until either end fails; then both go.
func (s *Streams) carry(from, to net.Conn) {
	queue := make(chan parcel, queued)
	s.work.Go(func() {
		defer s.drop(to)
		for p := range queue {
			p.wait()
			if _, err := to.Write(p.data); err != nil {
				s.drop(from)
			}
		}
	})
	defer close(queue)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			queue <- parcel{at: time.Now().Add(s.delay), data: slices.Clone(buffer[:n])}
		}
		if err != nil {
			s.drop(from)
			return
		}
	}
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
