package consensus

import (
	"errors"
	"fmt"
	"time"
)

// Timing tunes a Node. All members of a fleet should have the same. The zero value is not valid: start from
// DefaultTiming.
type Timing struct {
	// Heartbeat is the timeout: how long a leader may be silent before nobody holds a vote back for its sake (who stands,
	// and when, is in stand.go), until Node.SetTimeout says otherwise. Keep it above four times the 99.9th percentile of
	// an fsync and five times the round trip.
	Heartbeat time.Duration
	// Election is how long a candidate waits for votes at first. Not below Heartbeat.
	Election time.Duration
	// Lease is how long a leader without contact to a quorum stays in office, for as long as the node runs; the leader
	// speaks ten times as often. Not above Heartbeat, and no timeout is ever set below it.
	Lease time.Duration
	// Commit is how often an idle leader repeats its commit index. Followers do not wait for it: see Nudge in
	// DESIGN.md.
	Commit time.Duration
	// ControlRPC bounds a vote or heartbeat, DataRPC a piece of the log, on a network that swallows bytes.
	ControlRPC, DataRPC time.Duration
	// DiskStall is how long a single disk operation may take before the process ends.
	DiskStall time.Duration
	// Stable is for how long a member must be caught up and in contact before it may become a voter.
	Stable time.Duration
	// Drive is how often the leader compares raft's configuration with the membership.
	Drive time.Duration
	// RetryMin and RetryMax bound the pause between two attempts of a forwarded write or read.
	RetryMin, RetryMax time.Duration
	// Snapshot is how often a member looks whether its log has grown enough for a snapshot.
	Snapshot time.Duration
}

// DefaultTiming fits members that are up to 100 ms apart.
func DefaultTiming() Timing {
	return Timing{
		Heartbeat:  time.Second,
		Election:   time.Second,
		Lease:      time.Second, // reads never rest on it
		Commit:     500 * time.Millisecond,
		ControlRPC: 2 * time.Second,
		DataRPC:    10 * time.Second,
		DiskStall:  10 * time.Second,
		Stable:     3 * time.Second,
		Drive:      time.Second,
		RetryMin:   20 * time.Millisecond,
		RetryMax:   time.Second,
		Snapshot:   time.Minute,
	}
}

// WithTimeout is t with another election timeout, and a lease to match, as it was measured in an earlier life.
func (t Timing) WithTimeout(d time.Duration) Timing {
	d = min(max(d, time.Millisecond), t.DiskStall)
	t.Heartbeat, t.Election, t.Lease = d, d, d
	return t
}

// Validate says which duration does not fit the others.
func (t Timing) Validate() error {
	named := []struct {
		name string
		d    time.Duration
	}{
		{"heartbeat", t.Heartbeat}, {"election", t.Election}, {"lease", t.Lease}, {"commit", t.Commit},
		{"control rpc", t.ControlRPC}, {"data rpc", t.DataRPC}, {"disk stall", t.DiskStall}, {"stable", t.Stable},
		{"drive", t.Drive}, {"retry min", t.RetryMin}, {"retry max", t.RetryMax}, {"snapshot", t.Snapshot},
	}
	for _, n := range named {
		if n.d < time.Millisecond {
			return fmt.Errorf("timing: %s of %s is too short", n.name, n.d)
		}
	}
	switch {
	case t.Lease > t.Heartbeat:
		return errors.New("timing: lease is longer than heartbeat")
	case t.Election < t.Heartbeat:
		return errors.New("timing: election is shorter than heartbeat")
	case t.RetryMax < t.RetryMin:
		return errors.New("timing: retry max is shorter than retry min")
	case t.DiskStall < t.Heartbeat:
		return errors.New("timing: disk stall is shorter than heartbeat")
	}
	return nil
}
