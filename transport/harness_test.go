package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/testutils/simnet"
	"go.uber.org/goleak"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is what the conformance suite runs on.
type network interface {
	// listen opens a socket on an address of its own.
	listen(t testing.TB) net.PacketConn
	// relisten opens a socket that has an address which a closed one had.
	relisten(t testing.TB, address string) net.PacketConn
	// nowhere is an address at which nobody answers.
	nowhere() string
	timing() Timing
}

// loopback is real UDP. Its timing is short, because its clock is real.
type loopback struct{}

func (loopback) listen(t testing.TB) net.PacketConn { return loopback{}.relisten(t, "127.0.0.1:0") }

func (loopback) relisten(t testing.TB, address string) net.PacketConn {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (loopback) nowhere() string { return "127.0.0.1:1" }

func (loopback) timing() Timing {
	return Timing{Header: 300 * time.Millisecond, BackoffMin: 300 * time.Millisecond}
}

const oneWay = 20 * time.Millisecond

// simulated is quic-go's simnet: its clock is that of a synctest bubble.
type simulated struct {
	net    *simnet.Simnet
	router *faultyRouter
	spare  []*simnet.SimConn
}

func newSimulated() *simulated {
	s := &simulated{router: &faultyRouter{alias: map[string]net.Addr{}, cut: map[string]bool{}}}
	s.net = &simnet.Simnet{Router: s.router}
	for i := range 8 {
		address := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:7000", i+1)))
		s.spare = append(s.spare, s.net.NewEndpoint(address, simnet.NodeBiDiLinkSettings{Latency: oneWay}))
	}
	s.net.Start()
	return s
}

func (s *simulated) listen(t testing.TB) net.PacketConn {
	t.Helper()
	if len(s.spare) == 0 {
		t.Fatal("out of simulated sockets")
	}
	conn := s.spare[0]
	s.spare = s.spare[1:]
	return conn
}

func (s *simulated) relisten(t testing.TB, address string) net.PacketConn {
	conn := s.listen(t)
	s.router.setAlias(address, conn.LocalAddr())
	return conn
}

func (s *simulated) nowhere() string { return "10.9.9.9:7000" }

func (s *simulated) timing() Timing { return Timing{} }

func (s *simulated) close() {
	for _, c := range s.spare {
		c.Close()
	}
	time.Sleep(30 * time.Second) // virtual: for quic-go's timers to end
	s.net.Close()
}

// faultyRouter delivers packets at once, but for what it was told to do with them.
type faultyRouter struct {
	simnet.PerfectRouter
	mu    sync.Mutex
	alias map[string]net.Addr // packets to the key go to the value, whose own packets seem to come from the key
	cut   map[string]bool     // hosts that are cut off
	drop  func() bool         // of each packet, nil for never
}

func (r *faultyRouter) SendPacket(p simnet.Packet) error {
	if r.rewrite(&p) {
		return nil
	}
	return r.PerfectRouter.SendPacket(p)
}

func (r *faultyRouter) rewrite(p *simnet.Packet) (lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut[p.From.String()] || r.cut[p.To.String()] || (r.drop != nil && r.drop()) {
		return true
	}
	for seen, real := range r.alias {
		if p.To.String() == seen {
			p.To = real
		}
		if p.From.String() == real.String() {
			p.From = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(seen))
		}
	}
	return false
}

func (r *faultyRouter) setAlias(seen string, real net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alias[seen] = real
}

func (r *faultyRouter) setCut(address string, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut[address] = cut
}

// directory is a Directory for tests: what one member believes.
type directory struct {
	mu    sync.Mutex
	pins  map[Pin]standing
	peers map[MemberID]Peer
}

type standing struct {
	id MemberID
	Standing
}

func (d *directory) Lookup(p Pin) (MemberID, Standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.pins[p]
	return s.id, s.Standing
}

func (d *directory) Find(id MemberID) (Peer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.peers[id]
	return p, ok
}

func (d *directory) set(id MemberID, pin Pin, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pins[pin] = standing{id, Current}
	d.peers[id] = Peer{Pin: pin, Addresses: addresses}
}

// withdraw makes a pin Removed or, when forgotten, Unknown.
func (d *directory) withdraw(id MemberID, to Standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pins[d.peers[id].Pin] = standing{id, to}
	delete(d.peers, id)
}

// fleet is some members on a network.
type fleet struct {
	testing.TB
	network network
	members []*member
	virtual bool
}

type member struct {
	*Endpoint
	fleet     *fleet
	id        Identity
	directory *directory
	socket    net.PacketConn
	address   string
	removedBy chan MemberID
}

// add starts a member. All know each other, with addresses. change may alter the configuration.
func (f *fleet) add(name MemberID, change ...func(*Config)) *member {
	f.Helper()
	id, err := NewIdentity("acme", "cluster-"+string(name), name)
	if err != nil {
		f.Fatal(err)
	}
	d := &directory{pins: map[Pin]standing{}, peers: map[MemberID]Peer{}}
	m := &member{fleet: f, id: id, directory: d, removedBy: make(chan MemberID, 100)}
	m.start(f.network.listen(f), change...)
	f.members = append(f.members, m)
	for _, a := range f.members {
		for _, b := range f.members {
			a.directory.set(b.id.ID(), b.id.Pin(), b.address)
		}
	}
	return m
}

func (m *member) start(socket net.PacketConn, change ...func(*Config)) {
	f := m.fleet
	f.Helper()
	m.socket, m.address = socket, socket.LocalAddr().String()
	cfg := Config{
		Identity: m.id, Directory: m.directory, Conn: socket, Timing: f.network.timing(),
		Removed: func(by MemberID) { m.removedBy <- by },
		Logger:  slog.New(slog.NewTextHandler(testWriter{f}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&cfg)
	}
	e, err := Listen(cfg)
	if err != nil {
		f.Fatal(err)
	}
	m.Endpoint = e
	m.Handle("echo", echo)
	m.Handle("whoami", func(peer MemberID, c net.Conn) {
		defer c.Close()
		io.WriteString(c, string(peer))
	})
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Logf("%s", b[:len(b)-1])
	return len(b), nil
}

func echo(_ MemberID, c net.Conn) {
	defer c.Close()
	io.Copy(c, c)
}

func (f *fleet) close() {
	for _, m := range f.members {
		m.Close()
	}
}

// patience bounds how long a test waits for what should happen at once: the machine may be busy with other tests.
const patience = 2 * time.Minute

// late says that something took longer than it may. In real time a busy machine needs some more.
func (f *fleet) late(took, most time.Duration) bool {
	if !f.virtual {
		most += patience
	}
	return took > most
}

// eventually polls until cond holds.
func (f *fleet) eventually(what string, cond func() bool) {
	f.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-ticker.C:
		case <-deadline:
			f.Fatalf("never: %s", what)
		}
	}
}

func (f *fleet) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	f.Cleanup(cancel)
	return ctx
}

// mustOpen opens a stream or ends the test.
func (m *member) mustOpen(to *member, class Class, kind string) net.Conn {
	m.fleet.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := m.Open(ctx, to.id.ID(), class, kind)
	if err != nil {
		m.fleet.Fatalf("open %s from %s to %s: %v", kind, m.id.ID(), to.id.ID(), err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// tryOpen opens a stream that is expected to fail.
func (m *member) tryOpen(to MemberID, class Class) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := m.Open(ctx, to, class, "echo")
	if err == nil {
		c.Close()
	}
	return err
}

// ping proves that a stream of a class works and that the peer knows who we are.
func (m *member) ping(to *member, class Class) {
	m.fleet.Helper()
	c := m.mustOpen(to, class, "whoami")
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil || MemberID(b) != m.id.ID() {
		m.fleet.Fatalf("%s pings %s: %q, %v", m.id.ID(), to.id.ID(), b, err)
	}
}

// connections counts the live connections with a peer.
func (m *member) connections(with *member) int {
	for _, p := range m.Peers() {
		if p.ID == with.id.ID() {
			return p.Connections
		}
	}
	return 0
}

// link is the newest live link with a peer.
func (m *member) link(with *member, class Class) *link {
	m.fleet.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	links := m.routeLocked(with.id.ID(), class).links
	if len(links) == 0 {
		m.fleet.Fatalf("%s has no %s link with %s", m.id.ID(), class, with.id.ID())
	}
	return links[len(links)-1]
}

// dialRaw makes a QUIC connection with any identity and protocol, as a stranger would.
func (f *fleet) dialRaw(id Identity, to *member, protocol string) (*quic.Conn, error) {
	f.Helper()
	tlsConfig := baseTLS(id)
	tlsConfig.NextProtos = []string{protocol}
	return f.dialTLS(tlsConfig, to)
}

func (f *fleet) dialTLS(tlsConfig *tls.Config, to *member) (*quic.Conn, error) {
	f.Helper()
	socket := f.network.listen(f)
	transport := &quic.Transport{Conn: socket}
	f.Cleanup(func() {
		transport.Close()
		socket.Close()
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := transport.Dial(ctx, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to.address)), tlsConfig, DefaultTiming().quicConfig(1))
	if err == nil {
		f.Cleanup(func() { conn.CloseWithError(0, "") })
	}
	return conn, err
}

// conformance is one promise, to be kept on every network.
type conformance struct {
	name string
	run  func(*fleet)
}

func runOverLoopback(t *testing.T, suite []conformance) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.runOn(t, loopback{}, false)
		})
	}
}

func runOverSimnet(t *testing.T, suite []conformance) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				s := newSimulated()
				defer s.close()
				c.runOn(t, s, true)
			})
		})
	}
}

// runOn ends with everything closed, cleanups of the test included.
func (c conformance) runOn(t testing.TB, n network, virtual bool) {
	cleanups := &cleanupFirst{TB: t}
	f := &fleet{TB: cleanups, network: n, virtual: virtual}
	defer f.close()
	defer cleanups.run()
	c.run(f)
}

// cleanupFirst runs cleanups before the fleet closes: synctest wants all to end inside of its bubble.
type cleanupFirst struct {
	testing.TB
	list []func()
}

func (c *cleanupFirst) Cleanup(f func()) { c.list = append(c.list, f) }

func (c *cleanupFirst) run() {
	for i := len(c.list) - 1; i >= 0; i-- {
		c.list[i]()
	}
}
