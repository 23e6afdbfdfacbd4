package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Open opens a stream of a kind to a member. It uses the live connection of the class, whoever dialled it, or dials;
// calls at the same time share one dial. A member that cannot be dialled is reached on a connection that it has to us,
// of another class if need be: so a cluster that can only dial out is a full member.
//
// The returned net.Conn is also a HalfCloser. That the peer does not handle the kind shows in the first Read or in a
// later Write, as ErrUnknownKind. ctx bounds Open, not the stream.
func (e *Endpoint) Open(ctx context.Context, to MemberID, class Class, kind string) (net.Conn, error) {
	c, err := e.open(ctx, to, class, kind)
	if err != nil {
		return nil, fmt.Errorf("open %s to %q: %w", kind, clip(string(to)), err)
	}
	return c, nil
}

func (e *Endpoint) open(ctx context.Context, to MemberID, class Class, kind string) (net.Conn, error) {
	if err := checkKind(kind); err != nil {
		return nil, err
	}
	if class >= classes {
		return nil, fmt.Errorf("%s: no such class", class)
	}
	if to == e.cfg.Identity.ID() {
		return nil, fmt.Errorf("%w: it is this member itself", ErrUnknownPeer)
	}
	// A connection that ends while a stream is opened on it is tried once: nothing was heard of the stream yet.
	for {
		l, err := e.linkTo(ctx, to, class)
		if err != nil {
			return nil, err
		}
		s, err := openStream(ctx, l, class, kind)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrBusy) {
			return nil, err
		}
		l.broken.Store(true) // opening fails for no other reason; its context may not say so yet
	}
}

// openStream opens a stream and names its kind. The header never blocks: it fits into the first packet.
func openStream(ctx context.Context, l *link, class Class, kind string) (*stream, error) {
	leave, err := l.enter(class)
	if err != nil {
		return nil, err
	}
	q, err := l.conn.OpenStreamSync(ctx)
	if err != nil {
		leave()
		return nil, explain(err)
	}
	l.opened()
	s := newStream(q, l)
	s.leave = leave
	if _, err := s.Write(appendHeader(nil, kind)); err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

// linkTo finds a live link, or dials, or waits for whoever dials already.
func (e *Endpoint) linkTo(ctx context.Context, to MemberID, class Class) (*link, error) {
	for {
		peer, ok := e.cfg.Directory.Find(to)
		if !ok {
			return nil, ErrUnknownPeer
		}
		l, wait, err := e.linkOrDial(to, class, peer)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-wait.linked:
		case <-wait.dial.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
		}
	}
}

// waiting is what an Open waits for: any link of the route, or the end of its dial.
type waiting struct {
	linked <-chan struct{}
	dial   *dial
}

func (e *Endpoint) linkOrDial(to MemberID, class Class, peer Peer) (*link, waiting, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, waiting{}, ErrClosed
	}
	r := e.routeLocked(to, class)
	l := e.bestLocked(r, peer.Pin)
	if class == Transit {
		l = r.ours(peer.Pin)
	}
	if l != nil {
		return l, waiting{}, nil
	}
	if r.dial == nil {
		if err := r.mayDial(peer.Addresses); err != nil {
			return e.insteadLocked(to, class, peer.Pin, err)
		}
		e.startDialLocked(r, to, class, peer)
	}
	return nil, waiting{linked: r.changed, dial: r.dial}, nil
}

func (e *Endpoint) bestLocked(r *route, pin Pin) *link {
	return r.best(e.cfg.Identity.ID(), pin, time.Now().Add(-e.cfg.Timing.Idle))
}

// insteadLocked is for peers that cannot be dialled: better what they dialled than no stream, and better one congestion window.
func (e *Endpoint) insteadLocked(to MemberID, class Class, pin Pin, why error) (*link, waiting, error) {
	for _, c := range []Class{class, kindOfClass[class].instead} {
		if r := e.routes[routeKey{to, c}]; r != nil {
			if l := e.bestLocked(r, pin); l != nil {
				return l, waiting{}, nil
			}
		}
	}
	return nil, waiting{}, why
}

// mayDial says why the peer cannot be dialled now, or nil.
func (r *route) mayDial(addresses []string) error {
	if len(addresses) == 0 {
		return fmt.Errorf("%w: it has no address and no connection to us", ErrUnreachable)
	}
	if wait := r.backoff.wait(time.Now(), addresses); wait > 0 {
		return fmt.Errorf("%w: next try in %s: %w", ErrUnreachable, wait.Round(time.Millisecond), r.backoff.err)
	}
	return nil
}
