package consensustest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
)

// ErrCrashed is what every call gets on stores that were given out before a crash: their process is no more.
var ErrCrashed = errors.New("the machine crashed")

// lied is how many acknowledged writes a lying disk can still lose; older ones have reached it meanwhile.
const lied = 64

// Disk is a member's disk in memory. It outlives the node that uses it, needs no real time, and draws whatever is left
// to chance from one source. A write happens whole or not at all, as bbolt's do, and is durable when it returns, unless
// the disk lies.
//
//	d := consensustest.NewDisk(rng)
//	cfg.Stores = d.Stores()  // anew for each start: those given out before a Crash are dead
//	d.Slow, Delay, Stall     // the next writes take their time
//	d.Fail, FailAt           // the next writes fail: syscall.EIO, syscall.ENOSPC
//	d.Lie                    // the next writes return before they are durable
//	d.Crash()                // the power fails; then close the node, and start another on d.Stores()
//	d.Rot()                  // a bit flips in what lies on it
//
// The knobs may be turned at any time, from any goroutine, and stay as they are across a Crash.
type Disk struct {
	mu      sync.Mutex
	rng     *rand.Rand
	content content // what a reader sees
	// durable is what a crash leaves of a lying disk, before the unsynced writes are drawn; nil when nothing is unsynced.
	durable  *content
	unsynced []write
	waiting  []*write // begun, and slow or stalled

	crashes int
	crashed chan struct{} // closed by the next crash

	faults struct {
		err   error
		at    int // how many writes still succeed before at fails; 0: none fails
		atErr error
		gate  chan struct{}
		delay func() time.Duration
		lying bool
	}
}

// write is one transaction. An honest disk does all its parts, in order, or none.
type write []func(*content)

// NewDisk returns an empty one that draws from rng; nil: always the same numbers.
func NewDisk(rng *rand.Rand) *Disk {
	if rng == nil {
		rng = rand.New(rand.NewPCG(0, 0))
	}
	return &Disk{rng: rng, content: newContent(), crashed: make(chan struct{})}
}

// Stores are what consensus.Config takes for one life of a node.
func (d *Disk) Stores() *consensus.Stores {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := handle{disk: d, life: d.crashes, crashed: d.crashed}
	return &consensus.Stores{Log: h, Stable: h, Snapshots: snapshots{h}}
}

// Fail makes every write from now on fail, without a trace of it on the disk; nil ends that.
func (d *Disk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.err = err
}

// FailAt makes the nth write from now on fail, the next being the first, and all after it. Whether that write reached
// the disk is drawn: its sync may be what failed.
func (d *Disk) FailAt(n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.at, d.faults.atErr = n, err
}

// Stall makes every write from now on hang until the next Release, however often it was called before that.
func (d *Disk) Stall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.faults.gate == nil {
		d.faults.gate = make(chan struct{})
	}
}

// Release lets hanging writes return, as done.
func (d *Disk) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.faults.gate != nil {
		close(d.faults.gate)
		d.faults.gate = nil
	}
}

// Slow makes every write from now on take so long.
func (d *Disk) Slow(delay time.Duration) { d.Delay(func() time.Duration { return delay }) }

// Delay asks how long each write from now on takes, under the disk's lock; nil: no time.
func (d *Disk) Delay(delay func() time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.delay = delay
}

// Lie makes writes return before they are durable. A crash then keeps, loses or tears each of the latest ones, as
// drawn. No member can promise anything on such a disk, nor can a fleet for what only a minority has besides: see
// docs/simulation.md. Lie(false) makes all durable that is there.
func (d *Disk) Lie(lying bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.lying = lying
	d.durable, d.unsynced = nil, nil
	if lying {
		c := d.content.clone()
		d.durable = &c
	}
}

// Crash is the power failing: writes that have not returned are done or not, as drawn; what a lying disk had promised
// is drawn too. Stores given out before are dead. The node on them is told by Config.Fatal, like by any disk that fails.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashes++
	close(d.crashed)
	d.crashed = make(chan struct{})
	if d.durable != nil {
		d.content = d.durable.clone()
		for _, w := range d.unsynced {
			d.draw(w).do(&d.content)
		}
		d.unsynced = nil
	}
	for _, w := range d.waiting {
		if d.rng.IntN(2) == 0 {
			w.do(&d.content)
		}
	}
	d.waiting = nil
	if d.durable != nil {
		c := d.content.clone()
		d.durable = &c
	}
}

// draw decides what a crash leaves of an unsynced write: all, nothing, or some parts.
func (d *Disk) draw(w write) write {
	switch d.rng.IntN(3) {
	case 0:
		return w
	case 1:
		return nil
	}
	var torn write
	for _, part := range w {
		if d.rng.IntN(2) == 0 {
			torn = append(torn, part)
		}
	}
	return torn
}

func (w write) do(c *content) {
	for _, part := range w {
		part(c)
	}
}

// begin registers a write and says how long it takes and what holds it up.
func (d *Disk) begin(life int, w *write) (delay time.Duration, gate chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fails(life, *w); err != nil {
		return 0, nil, err
	}
	if d.faults.delay != nil {
		delay = d.faults.delay()
	}
	d.waiting = append(d.waiting, w)
	return delay, d.faults.gate, nil
}

func (d *Disk) fails(life int, w write) error {
	switch {
	case life != d.crashes:
		return ErrCrashed
	case d.faults.err != nil:
		return d.faults.err
	case d.faults.at > 1:
		d.faults.at--
	case d.faults.at == 1:
		d.faults.err = d.faults.atErr
		if d.rng.IntN(2) == 0 {
			w.do(&d.content)
		}
		return d.faults.err
	}
	return nil
}

// finish does a write, unless a crash has decided on it already.
func (d *Disk) finish(life int, w *write) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if life != d.crashes {
		return ErrCrashed
	}
	d.waiting = slices.DeleteFunc(d.waiting, func(o *write) bool { return o == w })
	w.do(&d.content)
	if d.faults.lying {
		d.unsynced = append(d.unsynced, *w)
		if len(d.unsynced) > lied {
			d.unsynced[0].do(d.durable)
			d.unsynced = d.unsynced[1:]
		}
	}
	return nil
}

// handle is the disk as one life of a node sees it.
type handle struct {
	disk    *Disk
	life    int
	crashed chan struct{}
}

func (h handle) write(parts ...func(*content)) error {
	w := write(parts)
	delay, gate, err := h.disk.begin(h.life, &w)
	if err != nil {
		return err
	}
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-h.crashed:
		}
	}
	if gate != nil {
		select {
		case <-gate:
		case <-h.crashed:
		}
	}
	return h.disk.finish(h.life, &w)
}

func (h handle) read(f func(*content) error) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.life != h.disk.crashes {
		return ErrCrashed
	}
	return f(&h.disk.content)
}
