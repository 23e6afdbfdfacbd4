package relay

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxDatagram is the largest that UDP has.
const maxDatagram = 64 << 10

// Datagrams is a relay before one UDP address. Whoever sends to it gets a socket of its own towards the target, so
// that answers find their way back.
type Datagrams struct {
	front  *net.UDPConn
	target *net.UDPAddr
	delay  time.Duration
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	flows  map[netip.AddrPort]*flow
}

// flow is what one sender sends, and what comes back for it.
type flow struct {
	back     *net.UDPConn
	to, from chan parcel
}

// NewDatagrams relays between a free port of the host and the target; each direction takes the delay.
func NewDatagrams(host, target string, delay time.Duration) (*Datagrams, error) {
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return nil, fmt.Errorf("relay to %q: %w", target, err)
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	d := &Datagrams{front: front, target: to, delay: delay, flows: map[netip.AddrPort]*flow{}}
	d.work.Go(d.receive)
	return d, nil
}

// Address is where to send.
func (d *Datagrams) Address() string { return d.front.LocalAddr().String() }

// Close drops what is on its way.
func (d *Datagrams) Close() error {
	d.mu.Lock()
	d.closed = true
	err := d.front.Close()
	for _, f := range d.flows {
		f.back.Close()
	}
	d.mu.Unlock()
	d.work.Wait()
	return err
}

func (d *Datagrams) receive() {
	defer d.endFlows()
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := d.front.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		f, err := d.flow(from)
		if err != nil {
			continue // the network is down for this sender
		}
		post(f.to, d.delay, buffer[:n])
	}
}

// endFlows ends the senders of all flows. Only receive posts to them.
func (d *Datagrams) endFlows() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.flows {
		close(f.to)
	}
}

func (d *Datagrams) flow(from netip.AddrPort) (*flow, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.flows[from]; f != nil {
		return f, nil
	}
	if d.closed {
		return nil, net.ErrClosed
	}
	back, err := net.DialUDP("udp", nil, d.target)
	if err != nil {
		return nil, err
	}
	f := &flow{back: back, to: make(chan parcel, queued), from: make(chan parcel, queued)}
	d.flows[from] = f
	d.work.Go(func() {
		for p := range f.to {
			p.wait()
			_, _ = back.Write(p.data) // datagrams get lost
		}
	})
	d.work.Go(func() {
		for p := range f.from {
			p.wait()
			_, _ = d.front.WriteToUDPAddrPort(p.data, from)
		}
	})
	d.work.Go(func() { f.answers(d.delay) })
	return f, nil
}

// answers reads what the target sends back until the socket is closed. That nobody listens over there is no end: it
// may be back later.
func (f *flow) answers(delay time.Duration) {
	defer close(f.from)
	buffer := make([]byte, maxDatagram)
	for {
		n, err := f.back.Read(buffer)
		switch {
		case err == nil:
			post(f.from, delay, buffer[:n])
		case isClosed(err):
			return
		}
	}
}

// post hands a copy on, or drops it when the queue is full.
func post(queue chan<- parcel, delay time.Duration, data []byte) {
	select {
	case queue <- parcel{at: time.Now().Add(delay), data: slices.Clone(data)}:
	default:
	}
}
