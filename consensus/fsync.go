package consensus

import (
	"math/bits"
	"sync"
	"time"
)

// fsyncAge is for how long, at least, a write's duration counts; it is forgotten after twice that.
const fsyncAge = 10 * time.Minute

// fsyncs is a histogram of how long the log's writes take: each ends with a sync. Its buckets are a quarter of a power
// of two wide, in microseconds.
type fsyncs struct {
	mu       sync.Mutex
	now, old [128]uint32 // the age that runs, and the one before
	began    time.Time
}

func (f *fsyncs) note(took time.Duration, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(at)
	f.now[bucket(took)]++
}

// turn begins a new age when it is time. The caller holds mu.
func (f *fsyncs) turn(at time.Time) {
	switch age := at.Sub(f.began); {
	case age >= 2*fsyncAge:
		f.now, f.old, f.began = [128]uint32{}, [128]uint32{}, at
	case age >= fsyncAge:
		f.now, f.old, f.began = [128]uint32{}, f.now, at
	}
}

// p999 is the 99.9th percentile, rounded up to its bucket; 0 when nothing was written.
func (f *fsyncs) p999(at time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(at)
	total := 0
	for i := range f.now {
		total += int(f.now[i]) + int(f.old[i])
	}
	above := total / 1000 // how many may be longer
	for i := len(f.now) - 1; i >= 0; i-- {
		if above -= int(f.now[i]) + int(f.old[i]); above < 0 {
			return upper(i)
		}
	}
	return 0
}

// bucket is the number of the bucket of a duration: its highest bit and the two below.
func bucket(d time.Duration) int {
	us := uint64(max(4, d.Microseconds()))
	high := bits.Len64(us) - 1
	return min(127, 4*(high-2)+int(us>>(high-2))&3)
}

// upper is the end of a bucket.
func upper(bucket int) time.Duration {
	return time.Duration(5+bucket%4) << (bucket / 4) * time.Microsecond
}

// Fsync is the 99.9th percentile of how long the disk takes to write the log, 0 when nothing was written lately.
func (n *Node) Fsync() time.Duration { return n.guard.writes.p999(time.Now()) }
