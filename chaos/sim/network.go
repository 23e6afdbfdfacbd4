package sim

import (
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// Network delivers packets between hosts, late, or not at all where it is cut.
type Network struct {
	// Latency of a packet from one host to another, one way. It may be nil: 1 ms.
	Latency func(from, to string) time.Duration

	router simnet.PerfectRouter
	mu     sync.Mutex
	cut    map[[2]string]bool
	links  []*simnet.SimulatedLink
}

// SendPacket implements simnet.Router.
func (n *Network) SendPacket(p simnet.Packet) error {
	n.mu.Lock()
	cut := n.cut[[2]string{host(p.From), host(p.To)}]
	n.mu.Unlock()
	if cut {
		return nil
	}
	return n.router.SendPacket(p)
}

// AddNode implements simnet.Router.
func (n *Network) AddNode(addr net.Addr, r simnet.PacketReceiver) { n.router.AddNode(addr, r) }

// Listen makes a socket; one that was at the address before is replaced.
func (n *Network) Listen(addr *net.UDPAddr) net.PacketConn {
	link := &simnet.SimulatedLink{UploadPacket: n, LatencyFunc: func(p simnet.Packet) time.Duration {
		if n.Latency == nil {
			return time.Millisecond
		}
		return n.Latency(host(p.From), host(p.To))
	}}
	conn := simnet.NewBlockingSimConn(addr, link)
	n.AddNode(addr, link)
	link.Start()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = append(n.links, link)
	return conn
}

// Cut drops every packet from one host to the other from now on.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut == nil {
		n.cut = map[[2]string]bool{}
	}
	n.cut[[2]string{from, to}] = true
}

// Mend undoes a Cut.
func (n *Network) Mend(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, [2]string{from, to})
}

// Heal undoes every Cut.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = nil
}

// Close ends the links. The sockets must be closed before.
func (n *Network) Close() {
	for _, l := range n.links {
		l.Close()
	}
}

func host(a net.Addr) string {
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return h
}
