package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Tap passes datagrams on to an address and back, and keeps those that went there: to be sent again by somebody else.
type Tap struct {
	front, back *net.UDPConn
	group       sync.WaitGroup
	mu          sync.Mutex
	heard       [][]byte
}

// NewTap listens at a port that nobody uses.
func NewTap(to string) (*Tap, error) {
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return nil, err
	}
	t := &Tap{}
	if t.front, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	if t.back, err = net.DialUDP("udp", nil, addr); err != nil {
		return nil, errors.Join(err, t.front.Close())
	}
	t.group.Go(t.pass)
	return t, nil
}

// Address is where to send what is to be passed on.
func (t *Tap) Address() string { return t.front.LocalAddr().String() }

// pass serves one client after the other, as a person joins.
func (t *Tap) pass() {
	datagram := make([]byte, maxDatagram)
	for {
		n, from, err := t.front.ReadFromUDP(datagram)
		if err != nil {
			return
		}
		t.mu.Lock()
		t.heard = append(t.heard, slices.Clone(datagram[:n]))
		first := len(t.heard) == 1
		t.mu.Unlock()
		_, _ = t.back.Write(datagram[:n]) // datagrams get lost
		if first {
			t.group.Go(func() { t.passBack(from) })
		}
	}
}

func (t *Tap) passBack(to *net.UDPAddr) {
	datagram := make([]byte, maxDatagram)
	for {
		n, err := t.back.Read(datagram)
		if err != nil {
			return
		}
		_, _ = t.front.WriteToUDP(datagram[:n], to) // datagrams get lost
	}
}

// Heard are the datagrams that were passed on.
func (t *Tap) Heard() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.heard)
}

// Close ends it.
func (t *Tap) Close() error {
	err := errors.Join(t.front.Close(), t.back.Close())
	t.group.Wait()
	return err
}

// maxDatagram is what UDP over IPv4 carries.
const maxDatagram = 65507

// Noise is bytes of all sizes that a datagram can have, the empty and the largest one among them. Some look like the
// first packet of a QUIC connection.
func Noise(chance *rand.Rand, n int) [][]byte {
	all := [][]byte{{}, noise(chance, maxDatagram)}
	for range n {
		b := noise(chance, 1+chance.IntN(1500))
		if chance.IntN(2) == 0 && len(b) > 5 {
			copy(b, []byte{0xc0 | b[0]&0x3f, 0, 0, 0, 1}) // long header, version 1
		}
		all = append(all, b)
	}
	return all
}

func noise(chance *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

// Shower sends datagrams to an address, from a port of its own.
func Shower(to string, datagrams [][]byte) error {
	conn, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, d := range datagrams {
		if _, err := conn.Write(d); err != nil {
			return fmt.Errorf("send %d bytes: %w", len(d), err)
		}
	}
	return nil
}

// Pour sends bytes to a TCP address, and listens until the other side has had enough or patience ends. It returns what
// came back, at most 64 KiB.
func Pour(ctx context.Context, to string, data []byte, patience time.Duration) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	_, _ = conn.Write(data) // the other side may refuse in the middle
	answer := make([]byte, 64<<10)
	n, _ := conn.Read(answer) // however it ends
	return answer[:n], nil
}
