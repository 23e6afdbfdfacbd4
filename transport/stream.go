package transport

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// HalfCloser is what every net.Conn of this package can do besides. One direction's end never ends the other.
type HalfCloser interface {
	// CloseWrite ends the own direction: the peer reads everything that was written, then io.EOF. Reading goes on.
	CloseWrite() error
	// CloseRead says that nothing more will be read: the peer's writes fail with io.ErrClosedPipe. Writing goes on.
	CloseRead() error
	// Abort ends both directions at once; the peer's reads fail, they never see io.EOF.
	Abort()
}

// stream is one QUIC stream as net.Conn.
//
// Close means CloseWrite and CloseRead: all that was written still arrives, followed by io.EOF. Only if a Write was
// cut short, by a deadline or by Close itself, the peer's read fails instead, so that half a message never looks like
// a whole one. Close may be called at any time, from any goroutine and more than once; it wakes blocked reads and writes.
//
//	write side:  open ── CloseWrite, Close ──▶ finished     (FIN)
//	             open ── Write cut short ──▶ cut ── Close ──▶ reset   (RESET_STREAM)
//	             open ── Abort ──▶ reset
type stream struct {
	quic *quic.Stream
	link *link

	leave    func()    // counts it out of those of its class; set by who opened it
	released sync.Once // counts the stream out of its link
	closing  chan struct{}
	closed   sync.Once // closes closing

	write struct {
		sync.Mutex      // held during a Write: quic-go forbids Close beside it
		cut        bool // a Write wrote less than it was given
		finished   bool // FIN or RESET_STREAM is sent
	}
}

var (
	_ net.Conn   = (*stream)(nil)
	_ HalfCloser = (*stream)(nil)
)

func newStream(q *quic.Stream, l *link) *stream {
	return &stream{quic: q, link: l, leave: func() {}, closing: make(chan struct{})}
}

func (s *stream) LocalAddr() net.Addr  { return s.link.conn.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.link.conn.RemoteAddr() }

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) SetReadDeadline(t time.Time) error { return s.quic.SetReadDeadline(t) }

func (s *stream) SetWriteDeadline(t time.Time) error {
	if s.isClosing() {
		return net.ErrClosed
	}
	err := s.quic.SetWriteDeadline(t)
	if s.isClosing() { // Close came between: its deadline must win
		return errors.Join(net.ErrClosed, s.quic.SetWriteDeadline(past))
	}
	return err
}

// past is a deadline that has always passed.
var past = time.Unix(1, 0)

func (s *stream) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.quic.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, explain(err)
}

func (s *stream) Write(p []byte) (int, error) {
	s.write.Lock()
	defer s.write.Unlock()
	if s.write.finished || s.isClosing() {
		return 0, net.ErrClosed
	}
	n, err := s.quic.Write(p)
	if n < len(p) {
		s.write.cut = true
	}
	if err == nil {
		return n, nil
	}
	if s.isClosing() {
		return n, net.ErrClosed
	}
	return n, explain(err)
}

func (s *stream) CloseWrite() error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.write.finished {
		return nil
	}
	s.write.finished = true
	if s.write.cut {
		s.quic.CancelWrite(codeCut)
		return io.ErrShortWrite
	}
	// Its only error says that the peer had stopped reading, which the writes have reported.
	_ = s.quic.Close()
	return nil
}

func (s *stream) CloseRead() error {
	s.quic.CancelRead(codeDone)
	return nil
}

func (s *stream) Close() error {
	s.interrupt()
	_ = s.CloseWrite() // a cut write has returned its own error
	_ = s.CloseRead()
	s.release()
	return nil
}

func (s *stream) Abort() {
	s.interrupt()
	s.reset(codeCut)
}

// interrupt wakes a blocked Write and makes later ones fail.
func (s *stream) interrupt() {
	s.closed.Do(func() { close(s.closing) })
	_ = s.quic.SetWriteDeadline(past)
}

// reset ends both directions with a code for the peer.
func (s *stream) reset(code quic.StreamErrorCode) {
	s.write.Lock()
	if !s.write.finished {
		s.write.finished = true
		s.quic.CancelWrite(code)
	}
	s.write.Unlock()
	s.quic.CancelRead(code)
	s.release()
}

func (s *stream) release() {
	s.released.Do(func() {
		s.leave()
		s.link.streams.Add(-1)
	})
}
