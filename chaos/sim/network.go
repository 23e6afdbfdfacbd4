package sim

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// Weather is what may happen to any packet. Shares are of all packets, from 0 to 1.
type Weather struct {
	Loss, Duplicates float64
	// Late packets take up to ten times as long, and so are overtaken by those behind them.
	Late float64
	// Jitter is added to every packet's latency, up to this much; Lag to that of packets to a host.
	Jitter time.Duration
	Lag    map[string]time.Duration
}

// Traffic is what a host has sent.
type Traffic struct{ Packets, Bytes int }

// Network delivers packets between hosts, late, or not at all where it is cut.
type Network struct {
	// Latency of a packet from one host to another, one way. It may be nil: 1 ms.
	Latency func(from, to string) time.Duration

	router simnet.PerfectRouter
	mu     sync.Mutex
	rng    *rand.Rand
	now    Weather
	cut    map[[2]string]int // from, to
	away   map[string]bool
	held   map[string]int
	kept   []simnet.Packet
	sent   map[string]Traffic
	links  []*simnet.SimulatedLink
}

// newNetwork is one whose weather is that of a seed.
func newNetwork(latency func(from, to string) time.Duration, seed uint64) *Network {
	return &Network{Latency: latency, rng: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]string]int{}, away: map[string]bool{}, held: map[string]int{}, sent: map[string]Traffic{}}
}

// Change changes the weather.
func (n *Network) Change(how func(*Weather)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	how(&n.now)
}

// SendPacket implements simnet.Router.
func (n *Network) SendPacket(p simnet.Packet) error {
	for range n.copies(p) {
		if err := n.router.SendPacket(p); err != nil {
			return err
		}
	}
	return nil
}

// copies says how often a packet is delivered now.
func (n *Network) copies(p simnet.Packet) int {
	from, to := host(p.From), host(p.To)
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.sent[from]
	n.sent[from] = Traffic{t.Packets + 1, t.Bytes + len(p.Data)}
	switch {
	case n.away[from] || n.away[to] || n.cut[[2]string{from, to}] > 0 || n.rng.Float64() < n.now.Loss:
		return 0
	case n.held[from] > 0 || n.held[to] > 0:
		n.kept = append(n.kept, p)
		return 0
	case n.rng.Float64() < n.now.Duplicates:
		return 2
	}
	return 1
}

// delay of a packet on its way.
func (n *Network) delay(p simnet.Packet) time.Duration {
	d := time.Millisecond
	if n.Latency != nil {
		d = n.Latency(host(p.From), host(p.To))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rng.Float64() < n.now.Late {
		d += time.Duration(n.rng.Int64N(int64(9*d) + 1))
	}
	return d + n.now.Lag[host(p.To)] + time.Duration(n.rng.Int64N(int64(n.now.Jitter)+1))
}

// Sent is what a host has sent until now, delivered or not.
func (n *Network) Sent(host string) Traffic {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent[host]
}

// AddNode implements simnet.Router.
func (n *Network) AddNode(addr net.Addr, r simnet.PacketReceiver) { n.router.AddNode(addr, r) }

// Listen makes a socket; one that was at the address before is replaced.
func (n *Network) Listen(addr *net.UDPAddr) net.PacketConn {
	link := &simnet.SimulatedLink{UploadPacket: n, LatencyFunc: n.delay}
	conn := simnet.NewBlockingSimConn(addr, link)
	link.Start()
	n.AddNode(addr, link)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = append(n.links, link)
	return conn
}

// Cut drops every packet from one host to the other, until as many Mends as there were Cuts.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}]++
}

// Mend undoes one Cut.
func (n *Network) Mend(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = max(0, n.cut[[2]string{from, to}]-1)
}

// Isolate drops every packet from and to a host, or ends that.
func (n *Network) Isolate(host string, away bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away[host] = away
}

// Hold keeps every packet from and to a host, until as many Releases as there were Holds: then they go on their way.
func (n *Network) Hold(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[host]++
}

// Release undoes one Hold.
func (n *Network) Release(host string) {
	n.mu.Lock()
	n.held[host] = max(0, n.held[host]-1)
	kept := n.kept
	n.kept = nil
	n.mu.Unlock()
	for _, p := range kept {
		n.SendPacket(p) // a packet to nobody is lost
	}
}

// Heal undoes every Cut, Isolate and Hold, and makes the weather fair. What was held is lost.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now, n.kept = Weather{}, nil
	clear(n.cut)
	clear(n.away)
	clear(n.held)
}

// Close ends the links. The sockets must be closed before.
func (n *Network) Close() {
	for _, l := range n.links {
		l.Close()
	}
}

func host(a net.Addr) string {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.IP.String()
	}
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return h
}
