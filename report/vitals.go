package report

import (
	"reflect"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Vitals are what a server of raft measures: its disk, and the other servers as it reaches them. From those of all
// servers follow who is dead, which region should lead, and the timeouts.
type Vitals struct {
	RTT map[store.MemberID]RoundTrip `json:"rtt,omitempty"`
	// Silent are those that this server itself has not heard, and for how many seconds.
	Silent map[store.MemberID]float64 `json:"silent,omitempty"`
	// FsyncP999 is in milliseconds; 0: not known.
	FsyncP999 float64 `json:"fsyncP999,omitempty"`
	// Lease of this server, in milliseconds.
	Lease float64 `json:"lease,omitempty"`
	// Wanted are the voters that a leader is about to have; others say nothing.
	Wanted []store.MemberID `json:"wanted,omitempty"`
}

// RoundTrip is in milliseconds, over the last minute. The least is the distance, whatever the two machines have to do
// besides; the 99th percentile is what a heartbeat must bear.
type RoundTrip struct {
	Least float64 `json:"least"`
	P99   float64 `json:"p99"`
}

// brief is what is passed on of a server's vitals: whom it does not hear, and whom it wants. The rest changes all the
// time, and only servers need it.
func (v *Vitals) brief() *Vitals {
	if v == nil {
		return nil
	}
	b := &Vitals{Wanted: v.Wanted}
	for id := range v.Silent {
		if b.Silent == nil {
			b.Silent = map[store.MemberID]float64{}
		}
		b.Silent[id] = silentAfter.Seconds()
	}
	return b
}

func (v *Vitals) equal(o *Vitals) bool { return reflect.DeepEqual(v, o) }

// Millis is a duration as words between members say it.
func Millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// FromMillis is Millis' other direction.
func FromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
