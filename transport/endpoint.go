package transport

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// Handler serves one stream of the kind it was registered for. It owns c and must close it. It has a goroutine of its
// own and may take as long as the stream lives; Endpoint.Close waits for it. c is also a HalfCloser.
type Handler func(peer MemberID, c net.Conn)

// Endpoint is one member's end of all its connections. Make one with Listen. All methods may be called from any
// goroutine.
type Endpoint struct {
	cfg       Config
	transport *quic.Transport
	listener  *quic.Listener
	joins     chan struct{} // one token for each join being served
	begun     time.Time

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine that spawn started

	mu       sync.Mutex // guards what follows; nothing that blocks is called while it is held
	closed   bool
	routes   map[routeKey]*route
	handlers map[string]Handler
	handled  chan struct{} // closed and replaced when a handler is registered
}

type routeKey struct {
	peer  MemberID
	class Class
}

// Listen starts an endpoint on cfg.Conn. It owns the socket from then on; if Listen fails, the caller still does.
func Listen(cfg Config) (*Endpoint, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	reset, err := cfg.Identity.statelessResetKey()
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	e := &Endpoint{
		cfg:       cfg.withDefaults(),
		transport: &quic.Transport{Conn: cfg.Conn, StatelessResetKey: reset},
		joins:     make(chan struct{}, maxJoins),
		routes:    make(map[routeKey]*route),
		handlers:  make(map[string]Handler),
		handled:   make(chan struct{}),
		begun:     time.Now(),
	}
	e.listener, err = e.transport.Listen(e.serverTLS(), e.cfg.Timing.quicConfig(-1))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.spawn(e.acceptConnections)
	e.spawn(e.settleLinks)
	return e, nil
}

// spawn runs f in a goroutine that Close waits for. It reports false, and does not run f, once Close has begun.
func (e *Endpoint) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.wg.Go(f)
	return true
}

// Close tells the peers, closes all connections and the socket, and waits for handlers and all goroutines. It may be
// called more than once.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	already := e.closed
	e.closed = true
	links := e.linksLocked()
	e.mu.Unlock()
	if already {
		e.wg.Wait()
		return nil
	}
	e.cancel()
	e.listener.Close() // first: no connection may come in that nobody closes
	for _, l := range links {
		l.conn.CloseWithError(codeClosing, "stopping")
	}
	e.wg.Wait()
	e.transport.Close()
	if err := e.cfg.Conn.Close(); err != nil {
		return fmt.Errorf("close socket: %w", err)
	}
	return nil
}

func (e *Endpoint) linksLocked() []*link {
	var list []*link
	for _, r := range e.routes {
		list = append(list, r.links...)
	}
	return list
}

// Handle registers who serves streams of a kind. A stream of a kind without handler is reset; but while the endpoint is
// younger than Timing.Header it waits for one, because peers may call before all of a starting member's parts are
// there. It panics for a name that is no kind and for a second handler of a kind: both are mistakes of the program.
func (e *Endpoint) Handle(kind string, h Handler) {
	if err := checkKind(kind); err != nil {
		panic("transport: " + err.Error())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.handlers[kind]; taken {
		panic("transport: second handler of " + kind)
	}
	e.handlers[kind] = h
	close(e.handled)
	e.handled = make(chan struct{})
}

// handler finds a kind's handler, or nil.
func (e *Endpoint) handler(kind string) Handler {
	timer := time.NewTimer(time.Until(e.begun.Add(e.cfg.Timing.Header)))
	defer timer.Stop()
	for {
		e.mu.Lock()
		h, handled := e.handlers[kind], e.handled
		e.mu.Unlock()
		if h != nil {
			return h
		}
		select {
		case <-handled:
		case <-timer.C:
			return nil
		case <-e.ctx.Done():
			return nil
		}
	}
}

// Recheck asks the Directory about every live connection and closes at once those whose pin is not that of a current
// member: with the code `removed` when it was one, `refused` when it is not known. It must be called after pins changed; addresses need no call.
func (e *Endpoint) Recheck() {
	e.mu.Lock()
	links := e.linksLocked()
	idle := e.emptyLocked()
	e.mu.Unlock()
	for _, l := range links {
		e.recheck(l)
	}
	for _, key := range idle {
		if _, ok := e.cfg.Directory.Find(key.peer); !ok {
			e.forget(key)
		}
	}
}

func (e *Endpoint) emptyLocked() []routeKey {
	var list []routeKey
	for key, r := range e.routes {
		if r.empty() {
			list = append(list, key)
		}
	}
	return list
}

// forget drops what is left of a member that is gone: the back-off of its routes.
func (e *Endpoint) forget(key routeKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.routes[key]; r != nil && r.empty() {
		delete(e.routes, key)
	}
}

// recheck closes a link whose pin was withdrawn, and reports whether it is still good. Only who was removed is told so: a member that is
// still catching up with the log may not know yet whom it was told of when it joined.
func (e *Endpoint) recheck(l *link) bool {
	id, standing := e.cfg.Directory.Lookup(l.pin)
	if standing == Current && id == l.peer {
		return true
	}
	e.cfg.Logger.Info("closing connection of withdrawn pin", "peer", l.peer, "class", l.class, "standing", standing)
	if standing == Unknown {
		l.conn.CloseWithError(codeRefused, "not known")
	} else {
		l.conn.CloseWithError(codeRemoved, "removed")
	}
	return false
}

// Peers lists the peers with a live connection, by id.
func (e *Endpoint) Peers() []PeerState {
	e.mu.Lock()
	links := e.linksLocked()
	e.mu.Unlock()
	slices.SortFunc(links, func(a, b *link) int {
		if c := strings.Compare(string(a.peer), string(b.peer)); c != 0 {
			return c
		}
		return int(b.class) - int(a.class) // control last: its round trip stands
	})
	var list []PeerState
	for _, l := range links {
		if n := len(list); n == 0 || list[n-1].ID != l.peer {
			list = append(list, PeerState{ID: l.peer, Since: l.since})
		}
		list[len(list)-1].count(l)
	}
	return list
}

func (p *PeerState) count(l *link) {
	p.Connections++
	p.RTT = l.conn.ConnectionStats().SmoothedRTT
	if l.since.Before(p.Since) {
		p.Since = l.since
	}
}

// settleLinks closes surplus connections, of which there are some only after two members dialled each other at once, and
// those that are not used any more.
func (e *Endpoint) settleLinks() {
	ticker := time.NewTicker(e.cfg.Timing.Idle / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			e.settle(time.Now())
		case <-e.ctx.Done():
			return
		}
	}
}

func (e *Endpoint) settle(now time.Time) {
	e.mu.Lock()
	var over []*link
	for _, r := range e.routes {
		over = append(over, r.surplus(e.cfg.Identity.ID(), now, e.cfg.Timing.Idle)...)
		over = append(over, r.unused(now, e.cfg.Timing.Unused)...)
	}
	e.mu.Unlock()
	for _, l := range over {
		l.conn.CloseWithError(codeSurplus, "surplus")
	}
}
