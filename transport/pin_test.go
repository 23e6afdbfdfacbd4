package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

func TestPinsOverLoopback(t *testing.T) { runOverLoopback(t, pinSuite) }
func TestPinsOverSimnet(t *testing.T)   { runOverSimnet(t, pinSuite) }

// pinSuite is about who is let in, who is cut off and who is told.
var pinSuite = []conformance{
	{"another key at the address is not spoken to", func(f *fleet) {
		a, b, c := f.add("a"), f.add("b"), f.add("c")
		a.directory.set("b", b.id.Pin(), c.address)
		if err := a.tryOpen("b", Control); !errors.Is(err, ErrPinMismatch) {
			f.Errorf("open: %v, want %v", err, ErrPinMismatch)
		}
		if n := c.connections(a); n != 0 {
			f.Errorf("the wrong member has %d connections", n)
		}
	}},
	{"an unknown pin is refused in the handshake", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		b.directory.withdraw("a", Unknown)
		if err := a.tryOpen("b", Control); !errors.Is(err, ErrRefused) {
			f.Errorf("open: %v, want %v", err, ErrRefused)
		}
		if n := b.connections(a); n != 0 {
			f.Errorf("%d connections", n)
		}
		expectNone(f, a.removedBy)
	}},
	{"a name in the certificate is worth nothing", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		impostor, err := NewIdentity("acme", "cluster-a", "a")
		if err != nil {
			f.Fatal(err)
		}
		conn, err := f.dialRaw(impostor, b, protocolControl)
		if err == nil { // the client's handshake ends first
			_, err = conn.AcceptUniStream(f.context())
		}
		if e, ok := errors.AsType[*quic.TransportError](err); !ok || e.ErrorCode != 0x100+alertBadCertificate {
			f.Errorf("impostor: %v, want an end in the handshake", err)
		}
		a.ping(b, Control)
	}},
	{"nobody comes in without a certificate", func(f *fleet) {
		b, _ := f.addDesk("b")
		for _, protocol := range []string{protocolControl, protocolData, protocolTransit, protocolJoin} {
			conn, err := f.dialTLS(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}, b)
			if err == nil {
				_, err = conn.AcceptUniStream(f.context())
			}
			if e, ok := errors.AsType[*quic.TransportError](err); !ok || !e.Remote || !e.ErrorCode.IsCryptoError() {
				f.Errorf("%s: %v, want an end in the handshake", protocol, err)
			}
		}
	}},
	{"no session is resumed, so nothing can be replayed into one", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		c := baseTLS(a.id)
		c.NextProtos = []string{protocolControl}
		c.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		for range 2 {
			conn, err := f.dialTLS(c, b)
			if err != nil {
				f.Fatal(err)
			}
			if _, err := conn.AcceptUniStream(f.context()); err != nil { // what the server has to send was sent
				f.Fatal(err)
			}
			if conn.ConnectionState().TLS.DidResume {
				f.Error("resumed")
			}
		}
	}},
	{"a live connection is not used for a member whose pin is another now", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		a.ping(b, Control)
		a.directory.set("b", Pin{1, 2, 3}, b.address)
		if err := a.tryOpen("b", Control); !errors.Is(err, ErrPinMismatch) {
			f.Errorf("open: %v, want %v", err, ErrPinMismatch)
		}
	}},
	{"Recheck forgets those who are gone, and keeps the back-off of the others", func(f *fleet) {
		a := f.add("a", func(c *Config) { c.Resolve = onlyIPs })
		for _, name := range []MemberID{"b", "c"} {
			a.directory.set(name, Pin{name[0]}, "no-such-host:7000")
			if err := a.tryOpen(name, Control); err == nil {
				f.Errorf("opened to %s", name)
			}
		}
		a.directory.withdraw("c", Removed)
		a.Recheck()
		a.mu.Lock()
		defer a.mu.Unlock()
		if r := a.routes[routeKey{"b", Control}]; r == nil || r.backoff.failures == 0 {
			f.Error("the back-off of b is lost")
		}
		if len(a.routes) != 1 {
			f.Errorf("%d routes, want one", len(a.routes))
		}
	}},
	{"a pin withdrawn between handshake and registration is told all the same", func(f *fleet) {
		a := f.add("a")
		late := new(hasty)
		b := f.add("b", func(c *Config) {
			late.Directory = c.Directory
			c.Directory = late
		})
		late.after.Store(2) // verifying, naming; the third is after the connection is known to Recheck
		f.eventually("it is told", func() bool { return errors.Is(a.tryOpen("b", Control), ErrRemoved) })
		f.eventually("no connection is left", func() bool { return b.connections(a) == 0 })
	}},
	{"a stranger's protocol is refused", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		for _, protocol := range []string{"h3", protocolJoin} { // b takes no joins
			if _, err := f.dialRaw(a.id, b, protocol); err == nil {
				f.Errorf("%s was accepted", protocol)
			}
		}
	}},
	{"a withdrawn pin closes live connections at once and is told", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		idle := a.mustOpen(b, Control, "echo")
		defer idle.Close()
		a.ping(b, Data)
		other := b.mustOpen(a, Data, "echo") // the direction does not matter
		defer other.Close()

		b.directory.withdraw("a", Removed)
		start := time.Now()
		b.Recheck()
		if _, err := other.Write([]byte("x")); err == nil {
			f.Error("a stream of a removed member can be written")
		}
		_, err := idle.Read(make([]byte, 1))
		if err == nil || (f.virtual && !errors.Is(err, ErrRemoved)) { // the telling is repeated at the next dial, see below
			f.Errorf("read: %v, want %v", err, ErrRemoved)
		}
		if took := time.Since(start); f.late(took, oneWay) || f.virtual && took != oneWay {
			f.Errorf("closing took %s", took)
		}
		f.eventually("no connection is left", func() bool { return len(a.Peers())+len(b.Peers()) == 0 })
		if f.virtual {
			f.eventually("it was told on each connection", func() bool { return len(a.removedBy) == 2 })
		}
		f.eventually("a dial is told", func() bool { return errors.Is(a.tryOpen("b", Control), ErrRemoved) })
		if by := receive(f, a.removedBy); by != "b" {
			f.Errorf("told by %q", by)
		}
		if err := b.tryOpen("a", Control); !errors.Is(err, ErrUnknownPeer) {
			f.Errorf("open to the removed: %v", err)
		}
	}},
	{"who is not known yet loses the connection, and is not told that it was removed", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		s := a.mustOpen(b, Control, "echo")
		defer s.Close()
		b.directory.withdraw("a", Unknown) // as in a log that is only read up to there
		b.Recheck()
		f.eventually("no connection is left", func() bool { return len(a.Peers())+len(b.Peers()) == 0 })
		if err := a.tryOpen("b", Control); err == nil || errors.Is(err, ErrRemoved) {
			f.Errorf("open: %v", err)
		}
		expectNone(f, a.removedBy)
	}},
	{"a pin that stands keeps its connections", func(f *fleet) {
		a, b, c := f.add("a"), f.add("b"), f.add("c")
		s := a.mustOpen(b, Control, "echo")
		defer s.Close()
		c.ping(b, Control)
		b.directory.withdraw("c", Removed)
		b.Recheck()
		roundTrip(f, s, "still here")
		receive(f, c.removedBy)
		expectNone(f, a.removedBy)
	}},
	{"a pin withdrawn without Recheck serves no new stream", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		a.ping(b, Control)
		b.directory.withdraw("a", Removed)
		c := a.mustOpen(b, Control, "whoami")
		defer c.Close()
		if got, err := io.ReadAll(c); err == nil {
			f.Errorf("served %q", got)
		}
	}},
}

// hasty is a Directory that says Removed after some lookups.
type hasty struct {
	Directory
	after atomic.Int32
}

func (h *hasty) Lookup(p Pin) (MemberID, Standing) {
	id, standing := h.Directory.Lookup(p)
	if h.after.Add(-1) < 0 {
		return id, Removed
	}
	return id, standing
}
