package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Specification: these numbers are part of the protocol between members, or follow from it.
const (
	protocolControl = "hanse/1-control"
	protocolData    = "hanse/1-data"
	protocolTransit = "hanse/1-transit"
	protocolJoin    = "hanse-join/1"
)

// Tuning: bounds that may be changed without telling anyone.
const (
	// maxStreams is how many streams a peer may have open on one connection.
	maxStreams = 4096
	// firstStream and connection are what a stream, and all streams of a connection together, may hold here unread. quic-go lets a
	// stream hold more once it is read fast. Its own first window of a connection holds two streams that nobody reads, and
	// would only grow with what is read.
	firstStream, connection = 256 << 10, 16 << 20
	// transitStream and transitConnection are the same for connections of the class Transit that we dialled, however fast they are read,
	// and maxTransit is how many streams one may have: those who stopped reading leave room for the others.
	transitStream, transitConnection = 1 << 20, 64 << 20
	maxTransit                       = 48
	// maxTransitInstead is how many of Transit a connection of another class may have, where a stream may hold 6 MiB.
	maxTransitInstead = 2
	// maxAccepted bounds the connections of one class that one peer may have dialled. One is right; the others are
	// those it gave up and that have not timed out here.
	maxAccepted = 4
	// nextAddressAfter is how long a dial to one address has before the next address is tried beside it.
	nextAddressAfter = 250 * time.Millisecond
	// maxResolved bounds how many addresses one dial tries.
	maxResolved = 16
	// maxJoins is how many joiners are served at once, joinTime how long each may take.
	maxJoins = 8
	joinTime = 30 * time.Second
)

// Timing holds the tuning that tests and unusual networks change. Zero fields take the default.
type Timing struct {
	KeepAlive  time.Duration // between signs of life on a quiet connection; default 2 s
	Idle       time.Duration // without a sign of life a connection is dead; default 6 s, at least twice KeepAlive
	Unused     time.Duration // after that without a stream the dialler closes a connection; default 1 min
	Dial       time.Duration // bound of one dial, all addresses together; default 5 s
	Header     time.Duration // a peer that opens a stream must name its kind within this; default 5 s
	BackoffMin time.Duration // pause after a first failed dial; doubles with each; default 200 ms
	BackoffMax time.Duration // longest pause; each is shortened by up to half, at random; default 5 s
}

// DefaultTiming is what zero fields of a Timing become.
func DefaultTiming() Timing {
	return Timing{
		KeepAlive:  2 * time.Second,
		Idle:       6 * time.Second,
		Unused:     time.Minute,
		Dial:       5 * time.Second,
		Header:     5 * time.Second,
		BackoffMin: 200 * time.Millisecond,
		BackoffMax: 5 * time.Second,
	}
}

func (t Timing) withDefaults() Timing {
	d := DefaultTiming()
	for _, f := range []struct{ have, std *time.Duration }{
		{&t.KeepAlive, &d.KeepAlive}, {&t.Idle, &d.Idle}, {&t.Unused, &d.Unused}, {&t.Dial, &d.Dial},
		{&t.Header, &d.Header}, {&t.BackoffMin, &d.BackoffMin}, {&t.BackoffMax, &d.BackoffMax},
	} {
		if *f.have == 0 {
			*f.have = *f.std
		}
	}
	return t
}

// Validate reports the first field that makes no sense, defaults filled in.
func (t Timing) Validate() error {
	t = t.withDefaults()
	switch {
	case min(t.KeepAlive, t.Idle, t.Unused, t.Dial, t.Header, t.BackoffMin, t.BackoffMax) < 0:
		return errors.New("timing: negative")
	case t.Idle < 2*t.KeepAlive:
		return fmt.Errorf("timing: idle %s is less than twice the keepalive %s", t.Idle, t.KeepAlive)
	case t.BackoffMax < t.BackoffMin:
		return fmt.Errorf("timing: longest back-off %s is less than the first %s", t.BackoffMax, t.BackoffMin)
	}
	return nil
}

// ResolveFunc turns host:port into addresses, in the order in which to try them. It is asked at every dial.
type ResolveFunc func(ctx context.Context, hostport string) ([]netip.AddrPort, error)

// Config is what an Endpoint needs.
type Config struct {
	Identity  Identity
	Directory Directory
	// Conn is the socket. The endpoint owns it once Listen succeeded: nobody else may use or close it.
	Conn net.PacketConn
	// Join answers joiners. Nil: this member takes no joins.
	Join JoinHandler
	// Removed is called each time a peer says that our pin was removed. One peer's word is no proof: the caller counts
	// voters. It is called from the endpoint's goroutines and must not block. Nil: nobody asks.
	Removed func(by MemberID)
	// Resolve is nil for IP addresses and the system's DNS.
	Resolve ResolveFunc
	Timing  Timing
	// Logger is nil for silence.
	Logger *slog.Logger
}

// Validate reports the first thing that is missing or makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Identity.key == nil:
		return errors.New("config: no identity")
	case c.Directory == nil:
		return errors.New("config: no directory")
	case c.Conn == nil:
		return errors.New("config: no socket")
	}
	return c.Timing.Validate()
}

func (c Config) withDefaults() Config {
	c.Timing = c.Timing.withDefaults()
	if c.Resolve == nil {
		c.Resolve = Resolve
	}
	if c.Removed == nil {
		c.Removed = func(MemberID) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "transport")
	return c
}
