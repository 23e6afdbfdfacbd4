package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

// crossed makes two members that dialled each other at once: two connections of one class.
func crossed(f *fleet) (a, b *member) {
	f.Helper()
	a, b = f.add("a"), f.add("b")
	var wg sync.WaitGroup
	wg.Go(func() { a.ping(b, Control) })
	wg.Go(func() { b.ping(a, Control) })
	wg.Wait()
	f.eventually("each has both connections", func() bool { return a.connections(b) == 2 && b.connections(a) == 2 })
	return a, b
}

func inBubble(t *testing.T, run func(*fleet)) {
	virtual.Test(t, func(t *testing.T) {
		s := newSimulated()
		defer s.close()
		conformance{run: run}.runOn(t, s, true)
	})
}

func TestConnectionsDialledAtOnce(t *testing.T) {
	t.Run("settle on that of the smaller id while streams come and go", func(t *testing.T) {
		inBubble(t, func(f *fleet) {
			a, b := crossed(f)
			for range 600 {
				a.ping(b, Control)
				b.ping(a, Control)
				time.Sleep(50 * time.Millisecond)
			}
			if n := a.connections(b); n != 1 || b.connections(a) != 1 {
				t.Fatalf("%d and %d connections", n, b.connections(a))
			}
			if !a.link(b, Control).dialled {
				t.Error("the connection of the larger id is left")
			}
			since := a.Peers()[0].Since
			for range 20 {
				time.Sleep(30 * time.Second)
				a.ping(b, Control)
			}
			if got := a.Peers()[0].Since; got != since || a.connections(b) != 1 {
				t.Error("it did not stay")
			}
		})
	})
	t.Run("are both kept while both have streams", func(t *testing.T) {
		inBubble(t, func(f *fleet) {
			a, b := crossed(f)
			var streams []net.Conn
			for _, l := range b.linksLockedForTest() {
				s, err := openStream(f.context(), l, Data, "echo")
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, s)
			}
			time.Sleep(10 * time.Minute)
			for _, s := range streams {
				roundTrip(f, s, "in use")
				s.Close()
			}
			if n := a.connections(b); n != 2 {
				t.Errorf("%d connections", n)
			}
			time.Sleep(30 * time.Second)
			if n := a.connections(b); n != 1 {
				t.Errorf("%d connections after the streams ended", n)
			}
			a.ping(b, Control)
			b.ping(a, Control)
		})
	})
}

func (m *member) linksLockedForTest() []*link {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.linksLocked()
}

func TestAConnectionThatIsUsedStaysAndOneThatIsNotIsClosed(t *testing.T) {
	t.Run("one stream, or a new one now and then, is use", func(t *testing.T) {
		inBubble(t, func(f *fleet) {
			a, b := f.add("b"), f.add("a") // the larger id dials
			stream := a.mustOpen(b, Control, "echo")
			defer stream.Close()
			stream.SetDeadline(time.Time{})
			roundTrip(f, stream, "it is open")
			a.ping(b, Data)
			since := a.Peers()[0].Since
			for range 120 {
				time.Sleep(30 * time.Second)
				b.ping(a, Data)
			}
			roundTrip(f, stream, "it is still open")
			if p := a.Peers()[0]; p.Since != since || p.Connections != 2 {
				t.Errorf("%+v", p)
			}
		})
	})
	t.Run("nobody opens a stream: both sides forget it, and dial when they must", func(t *testing.T) {
		inBubble(t, func(f *fleet) {
			a, b := f.add("b"), f.add("a")
			a.ping(b, Control)
			a.ping(b, Data)
			time.Sleep(2 * time.Minute)
			if n, m := a.connections(b), b.connections(a); n != 0 || m != 0 {
				t.Errorf("%d and %d connections", n, m)
			}
			b.ping(a, Control)
		})
	})
}

func TestPeerThatVanishedIsReplacedByItsNewConnection(t *testing.T) {
	inBubble(t, func(f *fleet) {
		simulated := f.network.(*simulated)
		a, b := f.add("a"), f.add("b")
		a.ping(b, Control) // the smaller id dialled: preferred, once proven
		time.Sleep(time.Minute)
		// b restarts where no packet for its old address reaches it: no stateless reset can tell a.
		b.socket.Close()
		old := b.address
		b.Endpoint.Close()
		simulated.router.setCut(old, true)
		b.start(f.network.listen(f))
		b.ping(a, Control)
		start := time.Now()
		a.ping(b, Control)
		if took := time.Since(start); took > time.Second {
			t.Errorf("a used the dead connection for %s", took)
		}
	})
}

func TestConnectionsOfOnePeerAreBounded(t *testing.T) {
	f := &fleet{TB: t, network: loopback{}}
	c := &cleanupFirst{TB: t}
	f.TB = c
	defer f.close()
	defer c.run()
	a, b := f.add("a"), f.add("b")
	for range 3 * maxAccepted {
		conn, err := f.dialRaw(a.id, b, protocolControl)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := conn.AcceptUniStream(f.context()); err != nil || readWelcome(s) != nil {
			t.Fatalf("no welcome: %v", err)
		}
	}
	f.eventually("the oldest are closed", func() bool { return b.connections(a) == maxAccepted })
	b.ping(a, Data)
}

func TestEachConnectionTooManyClosesAnother(t *testing.T) {
	r := newRoute()
	all := make([]*link, 3*maxAccepted)
	for i := range all {
		all[i] = &link{}
		var want *link
		if i >= maxAccepted {
			want = all[i-maxAccepted]
		}
		if extra := r.add(all[i]); extra != want {
			t.Errorf("link %d closes another than the oldest", i)
		}
	}
	if len(r.links) != maxAccepted {
		t.Errorf("%d links", len(r.links))
	}
}

func TestDialThatCameSecondIsClosed(t *testing.T) {
	c := &cleanupFirst{TB: t}
	f := &fleet{TB: c, network: loopback{}}
	defer f.close()
	defer c.run()
	a, b := f.add("a"), f.add("b")
	var conns []*quic.Conn
	for range 2 {
		conn, err := f.dialRaw(a.id, b, protocolControl)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	first, second := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:1")
	both := make(chan bool)
	winner, err := race(t.Context(), []netip.AddrPort{first, second}, func(ctx context.Context, to netip.AddrPort) (*quic.Conn, error) {
		if to == first {
			<-both
			return conns[0], nil
		}
		close(both)
		<-ctx.Done() // the first has won
		return conns[1], nil
	})
	if err != nil || winner != conns[0] {
		t.Fatalf("%v, %v", winner, err)
	}
	if conns[0].Context().Err() != nil || conns[1].Context().Err() == nil {
		t.Errorf("first ended: %v, second ended: %v", conns[0].Context().Err(), conns[1].Context().Err())
	}
}
