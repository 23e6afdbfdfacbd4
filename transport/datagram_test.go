package transport

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestHostileDatagramsOverLoopback(t *testing.T) { runOverLoopback(t, datagramSuite) }
func TestHostileDatagramsOverSimnet(t *testing.T)   { runOverSimnet(t, datagramSuite) }

// recorder keeps what is sent through a socket, for a replay.
type recorder struct {
	net.PacketConn
	mu   sync.Mutex
	sent [][]byte
}

func (r *recorder) WriteTo(b []byte, to net.Addr) (int, error) {
	r.mu.Lock()
	r.sent = append(r.sent, append([]byte(nil), b...))
	r.mu.Unlock()
	return r.PacketConn.WriteTo(b, to)
}

// SetReadBuffer and SetWriteBuffer keep quic-go from warning that it cannot set them.
func (r *recorder) SetReadBuffer(int) error  { return nil }
func (r *recorder) SetWriteBuffer(int) error { return nil }

func (r *recorder) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.sent...)
}

var datagramSuite = []conformance{
	{"garbage and oversized datagrams disturb nobody", func(f *fleet) {
		seed := rand.Uint64()
		f.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		undisturbed(f, func(int) []byte {
			b := make([]byte, random.IntN(1400))
			if random.IntN(10) == 0 {
				b = make([]byte, 30000) // more than any datagram of ours
			}
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			return b
		})
	}},
	{"replayed datagrams disturb nobody, from the first of the handshake on", func(f *fleet) {
		var tapped *recorder
		a := f.add("a", func(c *Config) {
			tapped = &recorder{PacketConn: c.Conn}
			c.Conn = tapped
		})
		b := f.add("b")
		a.ping(b, Control)
		a.ping(b, Data)
		recorded := tapped.all()
		if len(recorded) < 10 {
			f.Fatalf("only %d datagrams recorded", len(recorded))
		}
		attack(f, a, b, func(i int) []byte { return recorded[i%len(recorded)] })
		// Initials that are replayed begin handshakes. None may get anywhere.
		if n := b.connections(a); n != 2 {
			f.Errorf("%d connections, want the two there were", n)
		}
	}},
	{"datagrams with a flipped bit disturb nobody", func(f *fleet) {
		seed := rand.Uint64()
		f.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		var tapped *recorder
		a := f.add("a", func(c *Config) {
			tapped = &recorder{PacketConn: c.Conn}
			c.Conn = tapped
		})
		b := f.add("b")
		a.ping(b, Control)
		recorded := tapped.all()
		attack(f, a, b, func(i int) []byte {
			d := append([]byte(nil), recorded[i%len(recorded)]...)
			d[random.IntN(len(d))] ^= 1 << random.IntN(8)
			return d
		})
	}},
}

func undisturbed(f *fleet, datagram func(i int) []byte) {
	f.Helper()
	a, b := f.add("a"), f.add("b")
	attack(f, a, b, datagram)
}

// attack sends datagrams from a stranger's socket to both ends of a stream in use.
func attack(f *fleet, a, b *member, datagram func(i int) []byte) {
	f.Helper()
	c := a.mustOpen(b, Control, "echo")
	defer c.Close()
	stranger := f.network.listen(f)
	defer stranger.Close()
	before := a.link(b, Control)
	for i := range 500 {
		for _, to := range []*member{a, b} {
			stranger.WriteTo(datagram(i), to.socket.LocalAddr())
		}
		if i%50 == 0 {
			roundTrip(f, c, "undisturbed")
		}
	}
	roundTrip(f, c, "undisturbed")
	if a.link(b, Control) != before {
		f.Error("the connection was replaced")
	}
	b.ping(a, Control)
}

func TestStreamsSurviveLossyNetwork(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	virtual.Test(t, func(t *testing.T) {
		s := newSimulated()
		defer s.close()
		f := &fleet{TB: t, network: s, virtual: true}
		defer f.close()
		s.router.drop = func() bool { return random.IntN(20) == 0 }
		a, b := f.add("a"), f.add("b")
		for range 20 {
			f.eventually("a connection is made", func() bool { return a.tryOpen("b", Data) == nil })
			a.ping(b, Data)
			c := a.mustOpen(b, Data, "echo")
			roundTrip(f, c, string(large[:20000]))
			c.Close()
		}
	})
}

func TestPartitionEndsStreamsAfterIdleTimeoutAndHeals(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		s := newSimulated()
		defer s.close()
		f := &fleet{TB: t, network: s, virtual: true}
		defer f.close()
		a, b := f.add("a"), f.add("b")
		c := a.mustOpen(b, Control, "echo")
		defer c.Close()
		c.SetDeadline(time.Time{})
		roundTrip(f, c, "before")
		time.Sleep(time.Minute) // quiet, but alive
		roundTrip(f, c, "after a quiet minute")

		s.router.setCut(a.address, true)
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("read through a partition")
		}
		idle := a.cfg.Timing.Idle
		// The last keepalive, which nobody acknowledged, starts the timer anew.
		if took := time.Since(start); took < idle-a.cfg.Timing.KeepAlive || took > idle+a.cfg.Timing.KeepAlive+time.Second {
			t.Errorf("noticed after %s, idle timeout is %s", took, idle)
		}
		if err := a.tryOpen("b", Control); err == nil {
			t.Error("opened through a partition")
		}
		s.router.setCut(a.address, false)
		healed := time.Now()
		f.eventually("they speak again", func() bool { return a.tryOpen("b", Control) == nil })
		if took := time.Since(healed); took > a.cfg.Timing.BackoffMax {
			t.Errorf("healed after %s", took)
		}
	})
}
