package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

// acceptConnections takes connections whose handshake is complete. Each gets its own goroutine at once, because
// quic-go queues only a few.
func (e *Endpoint) acceptConnections() {
	for {
		conn, err := e.listener.Accept(e.ctx)
		if err != nil {
			return // closed: there is no other reason
		}
		if !e.spawn(func() { e.admit(conn) }) {
			conn.CloseWithError(codeClosing, "stopping")
		}
	}
}

func (e *Endpoint) admit(conn *quic.Conn) {
	state := conn.ConnectionState().TLS
	if state.NegotiatedProtocol == protocolJoin {
		e.serveJoin(conn)
		return
	}
	l, standing := e.newLink(conn, state)
	switch {
	case standing == Removed:
		conn.CloseWithError(codeRemoved, "removed")
	case standing == Unknown:
		conn.CloseWithError(codeRefused, "not known")
	case e.addLink(l) && e.welcome(l):
		e.serveLink(l)
	}
}

// newLink says whose a connection is, from its key and nothing else.
func (e *Endpoint) newLink(conn *quic.Conn, state tls.ConnectionState) (*link, Standing) {
	pin, err := pinOfConnection(state)
	if err != nil {
		return nil, Unknown // cannot be: the handshake has verified it
	}
	id, standing := e.cfg.Directory.Lookup(pin)
	return &link{conn: conn, peer: id, pin: pin, class: classOf(state.NegotiatedProtocol), since: time.Now()}, standing
}

// addLink makes a link known. The pin is looked up again afterwards: from here on Recheck sees the link, and what
// was withdrawn before is seen here. It reports false if the link was closed instead.
func (e *Endpoint) addLink(l *link) bool {
	e.mu.Lock()
	closed := e.closed
	var extra *link
	if !closed {
		extra = e.routeLocked(l.peer, l.class).add(l)
	}
	e.mu.Unlock()
	if closed {
		l.conn.CloseWithError(codeClosing, "stopping")
		return false
	}
	if extra != nil {
		extra.conn.CloseWithError(codeSurplus, "surplus")
	}
	e.cfg.Logger.Info("connected", "peer", l.peer, "class", l.class, "dialled", l.dialled, "address", l.conn.RemoteAddr())
	if !e.recheck(l) {
		e.dropLink(l)
		return false
	}
	return true
}

func (e *Endpoint) routeLocked(peer MemberID, class Class) *route {
	key := routeKey{peer, class}
	r := e.routes[key]
	if r == nil {
		r = newRoute()
		e.routes[key] = r
	}
	return r
}

// The accepting side of a connection opens one unidirectional stream and sends on it, with FIN:
//
//	offset  size  what
//	0       1     1, the version of the welcome
//
// A dialler's TLS handshake is complete before the other side has seen its certificate. Only the welcome tells it
// that it was let in, so that a refusal counts as a failed dial.
const welcomeVersion = 1

func (e *Endpoint) welcome(l *link) bool {
	s, err := l.conn.OpenUniStreamSync(e.ctx)
	if err == nil {
		_, err = s.Write([]byte{welcomeVersion})
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		l.conn.CloseWithError(codeProtocol, "no welcome")
		e.dropLink(l)
	}
	return err == nil
}

// readWelcome takes any version from 1: what a later one adds must not matter to this one.
func readWelcome(r io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return fmt.Errorf("read welcome: %w", err)
	}
	if b[0] < welcomeVersion {
		return fmt.Errorf("read welcome: version %d", b[0])
	}
	return nil
}

// serveLink takes the peer's streams until the connection ends.
func (e *Endpoint) serveLink(l *link) {
	for {
		q, err := l.conn.AcceptStream(e.ctx)
		if err != nil {
			break // the connection ended, or the endpoint closes and ends it
		}
		l.opened()
		s := newStream(q, l)
		if !e.spawn(func() { e.serveStream(s) }) {
			s.reset(codeCut)
		}
	}
	<-l.conn.Context().Done()
	e.dropLink(l)
}

// dropLink forgets a link whose connection has ended.
func (e *Endpoint) dropLink(l *link) {
	e.mu.Lock()
	e.routeLocked(l.peer, l.class).drop(l)
	e.mu.Unlock()
	err := explain(context.Cause(l.conn.Context()))
	e.cfg.Logger.Info("disconnected", "peer", l.peer, "class", l.class, "reason", err)
	if errors.Is(err, ErrRemoved) {
		e.cfg.Removed(l.peer)
	}
}

// serveStream reads a stream's kind and hands it to the handler.
func (e *Endpoint) serveStream(s *stream) {
	s.SetReadDeadline(time.Now().Add(e.cfg.Timing.Header))
	kind, err := readHeader(s)
	if err != nil {
		s.reset(headerCode(err))
		return
	}
	s.SetReadDeadline(time.Time{})
	if !e.recheck(s.link) {
		s.reset(codeCut)
		return
	}
	h := e.handler(kind)
	if h == nil {
		s.reset(codeUnknownKind)
		return
	}
	h(s.link.peer, s)
}

func headerCode(err error) quic.StreamErrorCode {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return codeSlowHeader
	}
	return codeBadHeader
}
