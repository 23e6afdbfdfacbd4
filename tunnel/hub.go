package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Limits bound what people and other members take of a member. DefaultLimits are what is shipped.
type Limits struct {
	// PerPerson and PerMember are how many tunnels a person of this member, and another member, may have here at once.
	PerPerson, PerMember int
	// PersonTo is how many of a person's may lead to one member. RelayedFor is how many this member passes on from one member to one other,
	// and Relayed from all to one other: the rest of what a connection to that one may carry is for this member's own people.
	PersonTo, RelayedFor, Relayed int
	// Try is how long one member on the way may take to answer, Next how long one is waited for until another is asked beside it,
	// Find how long it may take to find a way at all.
	Try, Next, Find time.Duration
	// Idle ends a tunnel through which nothing has passed for so long. Clients of Kubernetes send something every minute.
	Idle time.Duration
}

// DefaultLimits serve a person who asks a fleet of hundreds, and several who watch and have shells open.
func DefaultLimits() Limits {
	return Limits{PerPerson: 64, PerMember: 256, PersonTo: 16, RelayedFor: 8, Relayed: 24, Try: 3 * time.Second, Next: 500 * time.Millisecond, Find: 4 * time.Second, Idle: 10 * time.Minute}
}

// Config is what a Hub needs. All of it is required.
type Config struct {
	// Self is this member's id.
	Self string
	// Open opens a stream of Kind to a member, on a connection whose standstill hurts nobody else.
	Open func(ctx context.Context, to string) (net.Conn, error)
	// Relays are members that may reach one that this member cannot, the likeliest first.
	Relays func(to string) []string
	Limits Limits
}

// Hub is a member's part in tunnels: it begins those of its own people, passes on those of other members, and hands out
// those that end here. Its methods may be called from any goroutine.
type Hub struct {
	cfg    Config
	door   *door
	bounds bounds
	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	mu     sync.Mutex // guards closed, and that nothing is added to wg after it
	closed bool
	wg     sync.WaitGroup
}

// New makes a Hub. Close ends it.
func New(cfg Config) *Hub {
	h := &Hub{door: newDoor(), cfg: cfg, bounds: newBounds(cfg.Limits)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Listener gives out the connections that end at this member. While nobody accepts, they wait.
func (h *Hub) Listener() net.Listener { return h.door }

// Close ends every tunnel of this member and waits for that, so whoever accepted connections must close them when they fail.
func (h *Hub) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.door.Close()
	h.wg.Wait()
	return nil
}

// enter counts a tunnel in, which Close then waits for.
func (h *Hub) enter(within ...place) (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errStopping
	}
	left, err := take(within)
	if err != nil {
		return nil, err
	}
	h.wg.Add(1)
	return sync.OnceFunc(func() { left(); h.wg.Done() }), nil
}

// Tunnel is a way to a member, before and while it is used.
type Tunnel struct {
	hub   *Hub
	way   net.Conn
	leave func()
}

// Begin finds a way for a person to a member: this one, one that can be reached, or one that another member reaches. ctx
// bounds the finding. Whoever begins a tunnel closes it.
func (h *Hub) Begin(ctx context.Context, person, to string) (*Tunnel, error) {
	leave, err := h.enter(h.bounds.begun(person, to)...)
	if err != nil {
		return nil, err
	}
	way, err := h.find(ctx, to)
	if err != nil {
		leave()
		return nil, err
	}
	return &Tunnel{hub: h, way: way, leave: leave}, nil
}

// Carry lets everything pass between the person's connection and the member until either ends, nothing passes for long, the
// hub closes, or ctx ends. It closes both.
func (t *Tunnel) Carry(ctx context.Context, person net.Conn) error {
	defer t.Close()
	return t.hub.carry(ctx, person, t.way)
}

// Close ends the tunnel. It may be called more than once.
func (t *Tunnel) Close() {
	abort(t.way)
	t.leave()
}

func (h *Hub) carry(ctx context.Context, a, b net.Conn) error {
	end := func() { abort(a); abort(b) }
	defer context.AfterFunc(ctx, end)()
	defer context.AfterFunc(h.ctx, end)()
	return Splice(a, b, h.cfg.Limits.Idle)
}

// find tries the member itself, then those that may reach it.
func (h *Hub) find(ctx context.Context, to string) (net.Conn, error) {
	if err := checkID(to); err != nil {
		return nil, fmt.Errorf("member %q: %w", to, err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Limits.Find)
	defer cancel()
	if to == h.cfg.Self {
		return h.here(ctx)
	}
	return h.race(ctx, append([]string{to}, h.cfg.Relays(to)...), to)
}

// asked is the outcome of asking one member.
type asked struct {
	nth  int
	conn net.Conn
	err  error
}

// race asks members one after the other, each beside those before it that have not answered yet. The first way wins, and the
// others are given up. When there is none, why the first has none is told, as it is the one that is meant; or that there are
// too many, of which somebody may end some.
func (h *Hub) race(ctx context.Context, vias []string, to string) (won net.Conn, why error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan asked)
	begun, running := 0, 0
	next := func() {
		if nth := begun; nth < len(vias) && ctx.Err() == nil {
			begun, running = begun+1, running+1
			go func() { // waited for below
				conn, err := h.ask(ctx, vias[nth], to)
				answers <- asked{nth, conn, err}
			}()
		}
	}
	ticker := time.NewTicker(h.cfg.Limits.Next)
	defer ticker.Stop()
	for next(); running > 0; {
		select {
		case <-ticker.C:
			next()
		case a := <-answers:
			running--
			switch {
			case a.err == nil && won == nil:
				won = a.conn
				cancel()
			case a.err == nil:
				abort(a.conn)
			default:
				if a.nth == 0 && !errors.Is(why, ErrBusy) || errors.Is(a.err, ErrBusy) {
					why = a.err
				}
				next()
			}
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, why
}

// ask opens a stream to a member, which may be the one that is meant, and waits until the way is through.
func (h *Hub) ask(ctx context.Context, via, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Limits.Try)
	defer cancel()
	conn, err := h.cfg.Open(ctx, via)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	stop := context.AfterFunc(ctx, func() { abort(conn) })
	if _, err = conn.Write(appendRequest(nil, to)); err == nil {
		err = readAnswer(conn)
	}
	if !stop() {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err == nil {
		return conn, nil
	}
	abort(conn)
	if errors.Is(err, ErrBusy) || errors.Is(err, ErrUnreachable) {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// here is a way to this member itself.
func (h *Hub) here(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	if err := h.door.put(ctx, far); err != nil {
		return nil, err
	}
	return near, nil
}

// Serve serves a stream that another member opened, and returns when it has ended. Only a way of one step further is looked
// for, and only to the member that is meant: so a tunnel passes one member besides the first and the last, and no circle.
func (h *Hub) Serve(peer string, conn net.Conn) {
	defer abort(conn)
	defer context.AfterFunc(h.ctx, func() { abort(conn) })()
	conn.SetDeadline(time.Now().Add(h.cfg.Limits.Try))
	to, err := readRequest(conn)
	if err != nil {
		return
	}
	leave, err := h.enter(h.bounds.served(peer, h.cfg.Self, to)...)
	if err != nil {
		tell(conn, answerOf(err))
		return
	}
	defer leave()
	if to == h.cfg.Self {
		h.receive(conn)
		return
	}
	way, err := h.ask(h.ctx, to, to)
	if tell(conn, answerOf(err)) && err == nil {
		_ = h.carry(h.ctx, conn, way) // both ends see it
	} else if err == nil {
		abort(way)
	}
}

// receive hands a connection that ends here to whoever accepts, and waits until that one has closed it.
func (h *Hub) receive(conn net.Conn) {
	if !tell(conn, answerThrough) {
		return
	}
	c := &guest{Conn: conn, gone: make(chan struct{})}
	if err := h.door.put(h.ctx, c); err == nil {
		<-c.gone
	}
}

// tell says whether the answer was sent. From then on the connection has no deadline.
func tell(conn net.Conn, a answer) bool {
	_, err := conn.Write([]byte{byte(a)})
	return err == nil && conn.SetDeadline(time.Time{}) == nil && a == answerThrough
}
