package consensus

import (
	"sync"
	"sync/atomic"
	"time"
)

// pace is the election timeout, which follows what the servers measure while the node runs. The lease cannot: raft
// takes it once, and demands that no timeout is shorter.
//
// A leader speaks ten times a heartbeat timeout, and the others may have taken over a shorter one already. So in office
// it keeps to the lease, the shortest that it may have, whatever the timeout is.
type pace struct {
	lease   time.Duration
	timeout atomic.Int64
	held    atomic.Bool // it is not this voter's turn to stand for election
	mu      sync.Mutex  // one reload of raft's configuration at a time
}

func newPace(t Timing) *pace {
	p := &pace{lease: t.Lease}
	p.timeout.Store(int64(t.Heartbeat))
	return p
}

// get is the timeout of now.
func (p *pace) get() time.Duration { return time.Duration(p.timeout.Load()) }

// Timeout is for how long this member now waits for its leader.
func (n *Node) Timeout() time.Duration { return n.pace.get() }

// Lease is for how long this member leads without contact to a quorum, and the shortest timeout that it can have.
func (n *Node) Lease() time.Duration { return n.pace.lease }

// SetTimeout changes the election timeout, within what the lease and the disk's bound allow.
func (n *Node) SetTimeout(d time.Duration) {
	d = min(max(d, n.pace.lease), n.cfg.Timing.DiskStall)
	if time.Duration(n.pace.timeout.Swap(int64(d))) == d {
		return
	}
	n.cfg.Logger.Debug("election timeout changes", "timeout", d)
	n.reload()
}

// heldBack is how many timeouts raft waits while it is not this voter's turn: longer than the last of eight does.
const heldBack = 5

// hold has raft wait for its leader for longer than the timeout, or not any more.
func (n *Node) hold(on bool) {
	if n.pace.held.Swap(on) != on {
		n.reload()
	}
}

// reload tells raft the timeouts of a leader, or those of a follower. One that is held back waits longer.
func (n *Node) reload() {
	n.pace.mu.Lock()
	defer n.pace.mu.Unlock()
	c := n.raft.ReloadableConfig()
	heartbeat, election := n.pace.get(), n.pace.get()
	if o, _ := n.offices.get(); o != nil {
		heartbeat = n.pace.lease
	} else if n.pace.held.Load() {
		heartbeat, election = heldBack*heartbeat, heldBack*election
	}
	if c.HeartbeatTimeout == heartbeat && c.ElectionTimeout == election {
		return
	}
	c.HeartbeatTimeout, c.ElectionTimeout = heartbeat, election
	if err := n.raft.ReloadConfig(c); err != nil {
		n.cfg.Logger.Error("election timeout not changed", "timeout", n.pace.get(), "error", err)
	}
}
