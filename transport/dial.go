package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
)

// dial is one dial under way, shared by all that wait for it.
type dial struct {
	done chan struct{} // closed at its end, when the route knows the link or the failure
}

func (e *Endpoint) startDialLocked(r *route, to MemberID, class Class, peer Peer) {
	d := &dial{done: make(chan struct{})}
	r.dial = d
	peer.Addresses = slices.Clone(peer.Addresses)
	e.wg.Go(func() { // not spawn: it locks, and the caller has seen that the endpoint is open
		l, err := e.dialPeer(to, class, peer)
		e.finishDial(r, d, peer, err)
		if err == nil {
			e.serveLink(l)
		} else if errors.Is(err, ErrRemoved) {
			e.cfg.Removed(to)
		}
	})
}

func (e *Endpoint) finishDial(r *route, d *dial, peer Peer, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.dial = nil
	if err == nil {
		r.backoff = backoff{}
	} else {
		r.backoff.fail(time.Now(), e.cfg.Timing, peer.Addresses, err)
	}
	close(d.done)
}

// dialPeer makes a link that is known to the route and welcomed by the peer.
func (e *Endpoint) dialPeer(to MemberID, class Class, peer Peer) (*link, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Timing.Dial)
	defer cancel()
	addresses, err := resolveAll(ctx, e.cfg.Resolve, peer.Addresses, e.cfg.Timing.Dial/2)
	if err != nil {
		return nil, err
	}
	tlsConfig, quicConfig := e.clientTLS(to, peer.Pin, class), e.cfg.Timing.dialConfig(class)
	conn, err := race(ctx, addresses, func(ctx context.Context, address netip.AddrPort) (*quic.Conn, error) {
		return e.dialAddress(ctx, address, tlsConfig, quicConfig)
	})
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, peer: to, pin: peer.Pin, class: class, dialled: true, since: time.Now()}
	if !e.addLink(l) {
		return nil, ErrUnknownPeer
	}
	return l, nil
}

// dialAddress ends with a connection on which the peer has welcomed us.
func (e *Endpoint) dialAddress(ctx context.Context, address netip.AddrPort, tlsConfig *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
	conn, err := e.transport.Dial(ctx, net.UDPAddrFromAddrPort(address), tlsConfig, quicConfig)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, explain(err))
	}
	s, err := conn.AcceptUniStream(ctx)
	if err == nil {
		s.SetReadDeadline(time.Now().Add(e.cfg.Timing.Dial))
		err = readWelcome(s)
	}
	if err != nil {
		conn.CloseWithError(codeProtocol, "no welcome")
		return nil, fmt.Errorf("dial %s: %w", address, explain(err))
	}
	return conn, nil
}

// dialled is the outcome of the dial to one address.
type dialled struct {
	conn *quic.Conn
	err  error
}

// race dials the addresses one after the other, each beside those before it that have not answered yet. The first
// connection wins; the dials of the others are cancelled, and what they made is closed.
func race(ctx context.Context, addresses []netip.AddrPort, dial func(context.Context, netip.AddrPort) (*quic.Conn, error)) (*quic.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialled)
	running := 0
	start := func() {
		if ctx.Err() != nil || len(addresses) == 0 {
			return
		}
		address := addresses[0]
		addresses = addresses[1:]
		running++
		go func() { // waited for below
			conn, err := dial(ctx, address)
			results <- dialled{conn, err}
		}()
	}
	ticker := time.NewTicker(nextAddressAfter)
	defer ticker.Stop()
	var winner *quic.Conn
	var errs []error
	for start(); running > 0; {
		select {
		case <-ticker.C:
			start()
		case r := <-results:
			running--
			switch {
			case r.err != nil:
				errs = append(errs, r.err)
				start()
			case winner != nil:
				r.conn.CloseWithError(codeSurplus, "surplus")
			default:
				winner = r.conn
				cancel()
			}
		}
	}
	if winner != nil {
		return winner, nil
	}
	return nil, errors.Join(append(errs, ctx.Err())...)
}
