package consensustest

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
)

// Disk is raft's stores in memory. It outlives the node that uses it, and can fail or stall.
type Disk struct {
	*raft.InmemStore
	snapshots *raft.InmemSnapshotStore

	mu    sync.Mutex
	err   error
	gate  chan struct{}
	delay time.Duration
}

// NewDisk returns an empty one.
func NewDisk() *Disk {
	return &Disk{InmemStore: raft.NewInmemStore(), snapshots: raft.NewInmemSnapshotStore()}
}

// Stores are what consensus.Config takes.
func (d *Disk) Stores() *consensus.Stores {
	return &consensus.Stores{Log: d, Stable: d, Snapshots: d.snapshots}
}

// Fail makes every write from now on fail; nil ends that.
func (d *Disk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// Stall makes every write from now on hang until Release.
func (d *Disk) Stall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = make(chan struct{})
}

// Release lets hanging writes return, as done.
func (d *Disk) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gate != nil {
		close(d.gate)
		d.gate = nil
	}
}

// Slow makes every write from now on take so long.
func (d *Disk) Slow(delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = delay
}

func (d *Disk) write(op func() error) error {
	d.mu.Lock()
	err, gate, delay := d.err, d.gate, d.delay
	d.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	if gate != nil {
		<-gate
	}
	if err != nil {
		return err
	}
	return op()
}

// StoreLog implements raft.LogStore.
func (d *Disk) StoreLog(l *raft.Log) error {
	return d.write(func() error { return d.InmemStore.StoreLog(l) })
}

// StoreLogs implements raft.LogStore.
func (d *Disk) StoreLogs(ls []*raft.Log) error {
	return d.write(func() error { return d.InmemStore.StoreLogs(ls) })
}

// DeleteRange implements raft.LogStore.
func (d *Disk) DeleteRange(low, high uint64) error {
	return d.write(func() error { return d.InmemStore.DeleteRange(low, high) })
}

// Set implements raft.StableStore.
func (d *Disk) Set(k, v []byte) error {
	return d.write(func() error { return d.InmemStore.Set(k, v) })
}

// SetUint64 implements raft.StableStore.
func (d *Disk) SetUint64(k []byte, v uint64) error {
	return d.write(func() error { return d.InmemStore.SetUint64(k, v) })
}
