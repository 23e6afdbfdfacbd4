package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestConformanceOverLoopback(t *testing.T) { runOverLoopback(t, endpointSuite) }
func TestConformanceOverSimnet(t *testing.T)   { runOverSimnet(t, endpointSuite) }

var endpointSuite = []conformance{
	{"either side opens streams on one connection of each class, on its own of transit, and each knows the other", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		for _, class := range []Class{Control, Data, Transit} {
			a.ping(b, class)
			b.ping(a, class)
		}
		for _, m := range []*member{a, b} {
			peers := m.Peers()
			if len(peers) != 1 || peers[0].Connections != classes+1 {
				f.Errorf("%s sees %+v, want one peer with a connection of each class and one more", m.id.ID(), peers)
			}
			if peers[0].RTT <= 0 || peers[0].Since.IsZero() {
				f.Errorf("%s has no round trip or time: %+v", m.id.ID(), peers[0])
			}
		}
	}},
	{"streams of several kinds go side by side", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				c := a.mustOpen(b, Class(i%2), "echo")
				defer c.Close()
				message := make([]byte, 1000*(i+1))
				message[i] = byte(i)
				go c.Write(message)
				got := make([]byte, len(message))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != string(message) {
					f.Errorf("echo %d: %v", i, err)
				}
			})
			wg.Go(func() { b.ping(a, Class(i%2)) })
		}
		wg.Wait()
	}},
	{"an unknown kind is reset with a clear error and disturbs no other stream", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		c := a.mustOpen(b, Control, "no-such-kind")
		defer c.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrUnknownKind) {
			f.Errorf("read: %v, want %v", err, ErrUnknownKind)
		}
		a.ping(b, Control)
		if n := a.connections(b); n != 1 {
			f.Errorf("%d connections, want the one", n)
		}
	}},
	{"a stream that comes before its handler waits for it while the member is young", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		c := a.mustOpen(b, Control, "late")
		defer c.Close()
		io.WriteString(c, "early")
		f.eventually("the stream has come", func() bool { return b.connections(a) == 1 && b.link(a, Control).streams.Load() == 1 })
		b.Handle("late", echo)
		c.(HalfCloser).CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != "early" {
			f.Errorf("%q, %v", got, err)
		}
	}},
	{"a member that is not in the directory is not dialled", func(f *fleet) {
		a := f.add("a")
		for _, id := range []MemberID{"z", "a"} {
			if err := a.tryOpen(id, Control); !errors.Is(err, ErrUnknownPeer) {
				f.Errorf("open to %q: %v", id, err)
			}
		}
	}},
	{"the first to answer of all addresses is taken", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		a.directory.set("b", b.id.Pin(), f.network.nowhere(), b.address)
		start := time.Now()
		a.ping(b, Control)
		if took := time.Since(start); f.late(took, a.cfg.Timing.Dial-1) {
			f.Errorf("took %s", took)
		}
	}},
	{"failed dials back off, and not at a new address", func(f *fleet) {
		dials := new(atomic.Int32)
		a := f.add("a", func(c *Config) { c.Resolve = counted(dials) })
		b := f.add("b")
		a.directory.set("b", b.id.Pin(), "no-such-host:7000")

		start := time.Now()
		for range 5 {
			if err := a.tryOpen("b", Control); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no-such-host") {
				f.Errorf("open: %v, want %v and why", err, ErrUnreachable)
			}
		}
		// The pause is at least half of what it may be. A busy machine may have been slower than that.
		if n := dials.Load(); n != 1 && time.Since(start) < a.cfg.Timing.BackoffMin/2 {
			f.Errorf("%d dials, want 1", n)
		}
		a.directory.set("b", b.id.Pin(), b.address)
		a.ping(b, Control)
	}},
	{"an open does not fail because its connection ends at that moment", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		for range 20 {
			a.ping(b, Control)
			before := a.link(b, Control)
			var wg sync.WaitGroup
			wg.Go(func() { before.conn.CloseWithError(codeSurplus, "test") })
			for opened := false; !opened; {
				c := a.mustOpen(b, Control, "echo")
				opened = c.(*stream).link != before
				c.Close()
			}
			wg.Wait()
		}
	}},
	{"a dial is tried again once the pause is over", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		b.directory.withdraw("a", Unknown) // a quick failure
		if err := a.tryOpen("b", Control); !errors.Is(err, ErrRefused) {
			f.Errorf("open: %v", err)
		}
		b.directory.set("a", a.id.Pin(), a.address)
		f.eventually("it is tried again", func() bool { return a.tryOpen("b", Control) == nil })
		a.ping(b, Control)
	}},
	{"the address is resolved at each dial", func(f *fleet) {
		where := new(atomic.Value)
		a := f.add("a", func(c *Config) {
			c.Resolve = func(ctx context.Context, _ string) ([]netip.AddrPort, error) {
				return Resolve(ctx, where.Load().(string))
			}
		})
		b := f.add("b")
		a.directory.set("b", b.id.Pin(), "b.example:7000")
		where.Store(b.address)
		a.ping(b, Control)

		b.Endpoint.Close()
		f.eventually("a sees that b stopped", func() bool { return len(a.Peers()) == 0 })
		b.start(f.network.listen(f))
		where.Store(b.address)
		a.ping(b, Control)
	}},
	{"opens at the same time share one dial", func(f *fleet) {
		dials := new(atomic.Int32)
		a := f.add("a", func(c *Config) { c.Resolve = counted(dials) })
		b := f.add("b")
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { a.ping(b, Control) })
		}
		wg.Wait()
		if n := dials.Load(); n != 1 {
			f.Errorf("%d dials", n)
		}
	}},
	{"a member that only dials out is reached on its own connections", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		b.directory.set("a", a.id.Pin()) // no address
		if err := b.tryOpen("a", Control); !errors.Is(err, ErrUnreachable) {
			f.Errorf("open before it called: %v, want %v", err, ErrUnreachable)
		}
		a.ping(b, Control)
		b.ping(a, Control)
		b.ping(a, Data) // on the control connection: better than not at all
		a.ping(b, Data)
		b.ping(a, Data)
		if n := b.connections(a); n != 2 {
			f.Errorf("%d connections", n)
		}
	}},
	{"what people send goes beside the log to a member that only dials out, and never beside its heartbeats", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		b.directory.set("a", a.id.Pin()) // no address
		a.ping(b, Control)
		if err := b.tryOpen("a", Transit); !errors.Is(err, ErrUnreachable) {
			f.Errorf("open on the control connection: %v, want %v", err, ErrUnreachable)
		}
		a.ping(b, Data)
		b.ping(a, Transit)
		if n := b.connections(a); n != 2 {
			f.Errorf("%d connections", n)
		}
	}},
	{"an open that waits for a dial takes the connection that comes in meanwhile", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		b.directory.set("a", a.id.Pin(), f.network.nowhere())
		done := make(chan time.Duration)
		start := time.Now()
		go func() {
			b.ping(a, Control)
			done <- time.Since(start)
		}()
		f.eventually("b dials", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.routeLocked("a", Control).dial != nil
		})
		a.ping(b, Control)
		if took := receive(f, done); f.late(took, b.cfg.Timing.Dial-1) {
			f.Errorf("took %s, the whole dial", took)
		}
	}},
	{"members that dial each other at once both get through", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		for range 3 {
			var wg sync.WaitGroup
			wg.Go(func() { a.ping(b, Control) })
			wg.Go(func() { b.ping(a, Control) })
			wg.Wait()
		}
		if n := a.connections(b); n < 1 || n > 2 {
			f.Errorf("%d connections", n)
		}
	}},
	{"a peer that stops within its first bytes is cut after a while", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		a.ping(b, Control)
		for _, part := range [][]byte{{4}, []byte("\x04ech")} {
			q, err := a.link(b, Control).conn.OpenStream()
			if err != nil {
				f.Fatal(err)
			}
			q.Write(part)
			start := time.Now()
			_, err = q.Read(make([]byte, 1))
			if err == nil || explain(err).Error() != "peer waited too long for the stream's header" {
				f.Errorf("after %q: %v", part, err)
			}
			if took := time.Since(start); took < b.cfg.Timing.Header || f.late(took, b.cfg.Timing.Header+5*time.Second) {
				f.Errorf("cut after %s", took)
			}
		}
		a.ping(b, Control)
	}},
	{"first bytes that are no kind reset the stream only", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		a.ping(b, Control)
		for _, bad := range []string{"\x00", "\xff" + "echo", "\x04ECHO", "\x05-echo", "\x04e\x00ho"} {
			q, err := a.link(b, Control).conn.OpenStream()
			if err != nil {
				f.Fatal(err)
			}
			q.Write([]byte(bad))
			if _, err := q.Read(make([]byte, 1)); err == nil || explain(err).Error() != "peer refused the stream's header" {
				f.Errorf("after %q: %v", bad, err)
			}
		}
		a.ping(b, Control)
		if n := a.connections(b); n != 1 {
			f.Errorf("%d connections", n)
		}
	}},
	{"a member that restarts is reached again, and its peers learn it at once", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		s := a.mustOpen(b, Control, "echo")
		defer s.Close()
		roundTrip(f, s, "before")
		b.socket.Close() // a crash: it says nothing
		address := b.address
		b.Endpoint.Close()
		b.start(f.network.relisten(f, address))

		start := time.Now()
		s.Write(large[:100]) // a packet of less than 43 bytes draws no reset
		if _, err := s.Read(make([]byte, 1)); err == nil {
			f.Error("a stream outlived the crash")
		}
		if took := time.Since(start); f.late(took, a.cfg.Timing.Idle/2) {
			f.Errorf("noticed after %s: no stateless reset came", took)
		}
		a.ping(b, Control)
	}},
	{"a closed endpoint says so to its peers and opens nothing", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		s := a.mustOpen(b, Control, "echo")
		defer s.Close()
		roundTrip(f, s, "before")
		b.Endpoint.Close()
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			f.Errorf("read: %v", err)
		}
		if err := b.Endpoint.Close(); err != nil {
			f.Errorf("second close: %v", err)
		}
		if err := b.tryOpen("a", Control); !errors.Is(err, ErrClosed) || !errors.Is(err, net.ErrClosed) {
			f.Errorf("open: %v, want %v", err, ErrClosed)
		}
		expectNone(f, a.removedBy)
	}},
	{"closing waits for handlers, whose streams end", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		started, ended, release, closed := make(chan bool), make(chan bool), make(chan bool), make(chan bool)
		b.Handle("slow", func(_ MemberID, c net.Conn) {
			defer c.Close()
			started <- true
			io.Copy(io.Discard, c)
			ended <- true
			<-release
		})
		s := a.mustOpen(b, Data, "slow")
		defer s.Close()
		receive(f, started)
		go func() {
			b.Endpoint.Close()
			close(closed)
		}()
		receive(f, ended)
		if f.virtual {
			synctest.Wait()
		}
		expectNone(f, closed)
		close(release)
		receive(f, closed)
	}},
	{"closing ends an open that waits", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		a.directory.set("b", b.id.Pin(), f.network.nowhere())
		failed := make(chan error)
		go func() { failed <- a.tryOpen("b", Control) }()
		f.eventually("a dials", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.routeLocked("b", Control).dial != nil
		})
		a.Endpoint.Close()
		if err := receive(f, failed); err == nil {
			f.Error("opened")
		}
	}},
	{"the context bounds an open, not its stream", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		ctx, cancel := context.WithCancel(f.context())
		c, err := a.Open(ctx, "b", Control, "echo")
		if err != nil {
			f.Fatal(err)
		}
		defer c.Close()
		cancel()
		c.SetDeadline(time.Now().Add(patience))
		roundTrip(f, c, "after cancel")

		a.directory.set("b", b.id.Pin(), f.network.nowhere())
		if _, err := a.Open(ctx, "b", Data, "echo"); !errors.Is(err, context.Canceled) {
			f.Errorf("open with an ended context: %v", err)
		}
	}},
}

func counted(n *atomic.Int32) ResolveFunc {
	return func(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
		n.Add(1)
		return onlyIPs(ctx, hostport)
	}
}

func roundTrip(f *fleet, c net.Conn, message string) {
	f.Helper()
	if _, err := io.WriteString(c, message); err != nil {
		f.Fatalf("write: %v", err)
	}
	got := make([]byte, len(message))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != message {
		f.Fatalf("echo of %q: %q, %v", message, got, err)
	}
}

func receive[T any](f *fleet, c <-chan T) T {
	f.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		f.Fatal("nothing came")
		panic("unreachable")
	}
}

func expectNone[T any](f *fleet, c <-chan T) {
	f.Helper()
	select {
	case v := <-c:
		f.Errorf("unexpected %v", v)
	default:
	}
}
