package drill

import (
	"context"
	bytesof "encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/canary"
)

// wire is what was heard of the packets between members.
type wire struct {
	mu    sync.Mutex
	flows map[flow][]byte
}

// flow is who sends to whom.
type flow struct{ from, to netip.AddrPort }

// enoughHeard bounds what is kept of one flow: its first bytes.
const enoughHeard = 16 << 20

// eavesdrop hears every packet on this machine's own network until the test ends. Only root may, so it is nil for others.
func (f *field) eavesdrop(t *testing.T) *wire {
	t.Helper()
	ip := bytesof.NativeEndian.Uint16(bytesof.BigEndian.AppendUint16(nil, syscall.ETH_P_IP))
	socket, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, int(ip))
	if errors.Is(err, syscall.EPERM) {
		t.Run("the packets between members have nothing of it", func(t *testing.T) { t.Skip("only root may listen to them") })
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	// One that waits wakes up now and then, to see that it is to end.
	if err := syscall.SetsockoptTimeval(socket, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 100_000}); err != nil {
		t.Fatal(err)
	}
	w := &wire{flows: map[flow][]byte{}}
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() { w.listen(socket, done) })
	t.Cleanup(func() {
		close(done)
		work.Wait()
		if err := syscall.Close(socket); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *wire) listen(socket int, done <-chan struct{}) {
	packet := make([]byte, 1<<17)
	for {
		select {
		case <-done:
			return
		default:
		}
		n, from, err := syscall.Recvfrom(socket, packet, 0)
		if link, is := from.(*syscall.SockaddrLinklayer); err == nil && is && link.Pkttype != syscall.PACKET_OUTGOING { // each is seen twice
			w.hear(packet[:n])
		}
	}
}

// hear keeps a packet of members: IPv4, UDP, and of their port on one side.
func (w *wire) hear(packet []byte) {
	const shortestHeader, ofUDP = 20, 8
	if len(packet) < shortestHeader || packet[0]>>4 != 4 || packet[9] != syscall.IPPROTO_UDP {
		return
	}
	header := int(packet[0]&0xf) * 4
	if header < shortestHeader || len(packet) < header+ofUDP {
		return
	}
	udp := packet[header:]
	at := flow{
		netip.AddrPortFrom(netip.AddrFrom4([4]byte(packet[12:16])), bytesof.BigEndian.Uint16(udp)),
		netip.AddrPortFrom(netip.AddrFrom4([4]byte(packet[16:20])), bytesof.BigEndian.Uint16(udp[2:])),
	}
	if at.from.Port() != portMembers && at.to.Port() != portMembers {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.flows[at]) < enoughHeard {
		w.flows[at] = append(w.flows[at], udp[ofUDP:]...)
	}
}

// heardNothing checks that nothing of the values was heard between the field's members, and that something was heard of all of them, and
// the value where somebody did send it.
func (w *wire) heardNothing(t *testing.T, f *field, finder *canary.Finder) {
	t.Helper()
	if w == nil {
		return
	}
	var members []netip.AddrPort
	for _, c := range f.bed.Clusters() {
		flags := c.AddressFlags()
		members = append(members, netip.MustParseAddrPort(flags[slices.Index(flags, "--listen")+1]))
	}
	us, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(members[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer us.Close()
	ours := flow{us.LocalAddr().(*net.UDPAddr).AddrPort(), members[0]}
	until(t, 3*time.Minute, func(context.Context) error { // a packet may get lost
		if _, err := us.Write([]byte(password)); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(finder.In(w.flows[ours])) == 0 {
			return errors.New("what is sent as it is is not heard")
		}
		return nil
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := map[netip.AddrPort]int{}
	for at, data := range w.flows {
		if !slices.Contains(members, at.from) || !slices.Contains(members, at.to) {
			continue
		}
		heard[at.from] += len(data)
		for _, how := range finder.In(data) {
			t.Errorf("from %s to %s it is heard: %s", at.from, at.to, how)
		}
	}
	for _, m := range members {
		if heard[m] == 0 {
			t.Errorf("nothing is heard of %s", m)
		}
	}
	t.Logf("what was heard of each member, in bytes: %v", heard)
}
