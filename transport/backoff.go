package transport

import (
	"math/rand/v2"
	"slices"
	"time"
)

// backoff is what failed dials leave behind: until when not to try these addresses again.
type backoff struct {
	failures  int
	until     time.Time
	addresses []string
	err       error // the last failure
}

// fail notes a failed dial. The pause doubles up to a bound, and up to half of it is taken off at random, so that
// members that lost a peer together do not come back together.
func (b *backoff) fail(now time.Time, t Timing, addresses []string, err error) {
	if !slices.Equal(b.addresses, addresses) {
		b.failures = 0
	}
	b.failures++
	b.addresses = addresses
	b.err = err
	b.until = now.Add(jitter(pause(t, b.failures), rand.Float64()))
}

// pause is how long the pause after the nth failure in a row is at most.
func pause(t Timing, n int) time.Duration {
	d := t.BackoffMin
	for ; n > 1 && d < t.BackoffMax; n-- {
		d *= 2
	}
	return min(d, t.BackoffMax)
}

// jitter takes up to half off. random is in [0,1).
func jitter(d time.Duration, random float64) time.Duration {
	return d - time.Duration(random*float64(d)/2)
}

// wait is how long to wait still before these addresses may be dialled: changed addresses at once.
func (b *backoff) wait(now time.Time, addresses []string) time.Duration {
	if b.failures == 0 || !slices.Equal(b.addresses, addresses) {
		return 0
	}
	return max(0, b.until.Sub(now))
}
