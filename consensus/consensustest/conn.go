package consensustest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
)

// window is how many bytes may be on their way in one direction.
const window = 1 << 20

// conn is one end of a connection: it reads from one half and writes to the other.
type conn struct {
	n             *Network
	local, remote consensus.MemberID
	in, out       *half
	peer          *conn
	readBy        deadline
	writeBy       deadline
}

// half is one direction of a connection.
type half struct {
	path pair

	mu      sync.Mutex
	flying  []parcel
	size    int
	free    time.Time // when the line has sent all it was given
	closed  bool      // by the writer: what flies still arrives
	err     error     // nothing arrives any more
	changed chan struct{}
}

// parcel is what one Write sent.
type parcel struct {
	at   time.Time
	data []byte
}

func newHalf(path pair) *half { return &half{path: path, changed: make(chan struct{})} }

func (n *Network) pipe(a, b consensus.MemberID) (near, far *conn) {
	there, back := newHalf(pair{a, b}), newHalf(pair{b, a})
	near = &conn{n: n, local: a, remote: b, in: back, out: there}
	far = &conn{n: n, local: b, remote: a, in: there, out: back}
	near.peer, far.peer = far, near
	n.mu.Lock()
	n.conns[near], n.conns[far] = struct{}{}, struct{}{}
	n.mu.Unlock()
	return near, far
}

func (h *half) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.signal()
}

// Read waits until bytes have arrived: sent, their latency over, and no cut between.
func (c *conn) Read(p []byte) (int, error) {
	for {
		if c.readBy.over() {
			return 0, os.ErrDeadlineExceeded
		}
		got, wait, err := c.receive(p)
		if got > 0 || err != nil {
			return got, err
		}
		wait(c.readBy.changed())
	}
}

// receive takes what has arrived, or says how to wait for more.
func (c *conn) receive(p []byte) (int, func(<-chan struct{}), error) {
	cut, healed := c.n.isCut(c.in.path)
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := h.changed
	if h.err != nil {
		return 0, nil, h.err
	}
	if len(h.flying) == 0 {
		if h.closed {
			return 0, nil, io.EOF
		}
		return 0, func(deadline <-chan struct{}) { waitAny(changed, deadline, nil) }, nil
	}
	if cut {
		return 0, func(deadline <-chan struct{}) { waitAny(changed, deadline, healed) }, nil
	}
	if d := time.Until(h.flying[0].at); d > 0 {
		return 0, func(deadline <-chan struct{}) { waitFor(d, changed, deadline) }, nil
	}
	got := copy(p, h.flying[0].data)
	h.flying[0].data = h.flying[0].data[got:]
	if len(h.flying[0].data) == 0 {
		h.flying = h.flying[1:]
	}
	h.size -= got
	h.signal()
	return got, nil, nil
}

func waitAny(a, b, c <-chan struct{}) {
	select {
	case <-a:
	case <-b:
	case <-c:
	}
}

// waitFor does not wake for what else is sent: it comes later.
func waitFor(d time.Duration, changed, deadline <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-deadline:
	}
}

// Write sends; it waits while the window is full.
func (c *conn) Write(p []byte) (int, error) {
	sent := 0
	for len(p) > 0 {
		if c.writeBy.over() {
			return sent, os.ErrDeadlineExceeded
		}
		n, changed, err := c.send(p)
		if err != nil {
			return sent, err
		}
		sent, p = sent+n, p[n:]
		if n == 0 {
			waitAny(changed, c.writeBy.changed(), nil)
		}
	}
	return sent, nil
}

func (c *conn) send(p []byte) (int, <-chan struct{}, error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err != nil:
		return 0, nil, h.err
	case h.closed:
		return 0, nil, net.ErrClosed
	}
	n := min(len(p), window-h.size)
	if n == 0 {
		return 0, h.changed, nil
	}
	sent := time.Now()
	if sent.Before(h.free) {
		sent = h.free
	}
	if rate := c.n.bandwidth.Load(); rate > 0 {
		sent = sent.Add(time.Duration(int64(n) * int64(time.Second) / rate))
	}
	h.free = sent
	at := sent.Add(c.n.latency(c.local, c.remote))
	h.flying = append(h.flying, parcel{at: at, data: append([]byte(nil), p[:n]...)})
	h.size += n
	h.signal()
	return n, nil, nil
}

// Close ends both directions: the peer reads what flies, then EOF, and its writes fail.
func (c *conn) Close() error {
	c.out.change(func() { c.out.closed = true })
	c.in.change(func() {
		if c.in.err == nil {
			c.in.err = net.ErrClosed
		}
	})
	c.n.mu.Lock()
	delete(c.n.conns, c)
	c.n.mu.Unlock()
	return nil
}

// reset breaks the connection at once.
func (c *conn) reset() {
	for _, h := range []*half{c.in, c.out} {
		h.change(func() {
			if h.err == nil {
				h.err = syscall.ECONNRESET
			}
		})
	}
}

func (c *conn) LocalAddr() net.Addr  { return addr(c.local) }
func (c *conn) RemoteAddr() net.Addr { return addr(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { c.readBy.set(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.writeBy.set(t); return nil }

type addr consensus.MemberID

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }

// deadline wakes those who wait when it passes or is set anew.
type deadline struct {
	mu    sync.Mutex
	at    time.Time
	timer *time.Timer
	wake  chan struct{}
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	d.signal()
	if left := time.Until(t); !t.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.signal()
		})
	}
}

func (d *deadline) signal() {
	if d.wake != nil {
		close(d.wake)
		d.wake = nil
	}
}

func (d *deadline) changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.at.IsZero() && !time.Now().Before(d.at) {
		past := make(chan struct{})
		close(past)
		return past
	}
	if d.wake == nil {
		d.wake = make(chan struct{})
	}
	return d.wake
}

func (d *deadline) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.at.IsZero() && !time.Now().Before(d.at)
}
