package plan

import (
	"math"
	"time"
)

const (
	// minTimeout is the shortest election timeout: below it, a busy machine looks like a dead one.
	minTimeout = 250 * time.Millisecond
	// maxTimeout bounds what a server's figures can make of it.
	maxTimeout = 5 * time.Second
	// timeoutStep is the factor between two timeouts: servers whose figures differ a little come to the same one.
	timeoutStep = 1.25
	// timeoutHold is for how long the figures must allow a shorter timeout until it is used.
	timeoutHold = 30 * time.Second
)

// Figures are what a voter measures itself.
type Figures struct {
	// RTT99 is the 99th percentile of its round trips to the other voters, Fsync999 the 99.9th of its disk's syncs.
	RTT99, Fsync999 time.Duration
	// Lease is its own, fixed since it started; it speaks as leader at least five times a lease.
	Lease time.Duration
}

// Timeout is the election timeout that fits all voters: max(250 ms, 5 × p99 round trip, 4 × p99.9 fsync), rounded up to
// a step. No shorter than half the longest lease, or the pauses of that leader would be taken for its death.
func Timeout(voters []Figures) time.Duration {
	var least time.Duration
	for _, f := range voters {
		least = max(least, 5*f.RTT99, 4*f.Fsync999, f.Lease/2)
	}
	return step(least)
}

// step rounds up to minTimeout × timeoutStep^n.
func step(d time.Duration) time.Duration {
	if d <= minTimeout {
		return minTimeout
	}
	n := math.Ceil(math.Log(float64(d)/float64(minTimeout))/math.Log(timeoutStep) - 1e-9)
	rounded := time.Duration(float64(minTimeout) * math.Pow(timeoutStep, n)).Round(time.Millisecond)
	return min(maxTimeout, rounded)
}

// Pace is an election timeout that grows at once, and shrinks after a while.
type Pace struct {
	Timeout time.Duration
	// since is when a shorter one began to do, below the longest that was wanted since.
	since time.Time
	below time.Duration
}

// Next is the pace after a look at the figures.
func (p Pace) Next(now time.Time, wanted time.Duration) Pace {
	switch {
	case wanted >= p.Timeout:
		return Pace{Timeout: wanted}
	case p.since.IsZero():
		p.since, p.below = now, wanted
	}
	p.below = max(p.below, wanted)
	if now.Sub(p.since) >= timeoutHold {
		return Pace{Timeout: p.below}
	}
	return p
}
