package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/transport"
)

const (
	// tripsKept is how many round trips to a member are remembered, one a heartbeat, tripsNeeded how many make figures.
	tripsKept, tripsNeeded = 60, 10
	// silentAfter is from when on silence is worth a word.
	silentAfter = unreachableAfter
)

// vitals are what a server of raft measures: its disk, and the other servers as it reaches them. From those of all
// servers follow who is dead, which region should lead, and the timeouts.
type vitals struct {
	RTT map[store.MemberID]roundTrip `json:"rtt,omitempty"`
	// Silent are those that this server itself has not heard, and for how many seconds.
	Silent map[store.MemberID]float64 `json:"silent,omitempty"`
	// FsyncP999 is in milliseconds; 0: not known.
	FsyncP999 float64 `json:"fsyncP999,omitempty"`
	// Lease of this server, in milliseconds.
	Lease float64 `json:"lease,omitempty"`
	// Wanted are the voters that a leader is about to have; others say nothing.
	Wanted []store.MemberID `json:"wanted,omitempty"`
}

// roundTrip is in milliseconds, over the last minute. The least is the distance, whatever the two machines have to do
// besides; the 99th percentile is what a heartbeat must bear.
type roundTrip struct {
	Least float64 `json:"least"`
	P99   float64 `json:"p99"`
}

// brief is what is passed on of a server's vitals: whom it does not hear, and whom it wants. The rest changes all the
// time, and only servers need it.
func (v *vitals) brief() *vitals {
	if v == nil {
		return nil
	}
	b := &vitals{Wanted: v.Wanted}
	for id := range v.Silent {
		if b.Silent == nil {
			b.Silent = map[store.MemberID]float64{}
		}
		b.Silent[id] = silentAfter.Seconds()
	}
	return b
}

func (v *vitals) equal(o *vitals) bool { return reflect.DeepEqual(v, o) }

// senses is what this member itself notices of the others, beside what they say.
type senses struct {
	mu sync.Mutex
	// expected is since when a word of a server is waited for: before, it had no reason to speak to this member.
	expected map[store.MemberID]time.Time
	heard    map[store.MemberID]time.Time // its own word, on a connection of its own
	trips    map[store.MemberID][]time.Duration
}

func newSenses() *senses {
	return &senses{expected: map[store.MemberID]time.Time{}, heard: map[store.MemberID]time.Time{}, trips: map[store.MemberID][]time.Duration{}}
}

// hear notes a word that came from the member itself.
func (s *senses) hear(id store.MemberID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard[id] = at
}

// measure takes the round trips of now.
func (s *senses) measure(peers []transport.PeerState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range peers {
		id := store.MemberID(p.ID)
		all := append(s.trips[id], p.RTT)
		s.trips[id] = all[max(0, len(all)-tripsKept):]
	}
}

// forget drops members that are not in the fleet any more.
func (s *senses) forget(removed func(store.MemberID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.heard, func(id store.MemberID, _ time.Time) bool { return removed(id) })
	maps.DeleteFunc(s.trips, func(id store.MemberID, _ []time.Duration) bool { return removed(id) })
}

// of says what is noticed of the other servers.
func (s *senses) of(servers []store.MemberID, now time.Time) *vitals {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &vitals{RTT: map[store.MemberID]roundTrip{}, Silent: map[store.MemberID]float64{}}
	s.expect(servers, now)
	for _, id := range servers {
		since := s.expected[id]
		if heard := s.heard[id]; heard.After(since) {
			since = heard
		}
		if silence := now.Sub(since); silence >= silentAfter {
			v.Silent[id] = silence.Round(100 * time.Millisecond).Seconds()
		} else if trips := s.trips[id]; len(trips) >= tripsNeeded {
			sorted := slices.Sorted(slices.Values(trips))
			v.RTT[id] = roundTrip{Least: millis(sorted[0]), P99: millis(sorted[(len(sorted)-1)*99/100])}
		}
	}
	return v
}

// expect waits for words of the servers from now on, and of nobody else. The caller holds mu.
func (s *senses) expect(servers []store.MemberID, now time.Time) {
	maps.DeleteFunc(s.expected, func(id store.MemberID, _ time.Time) bool { return !slices.Contains(servers, id) })
	for _, id := range servers {
		if s.expected[id].IsZero() {
			s.expected[id] = now
		}
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func fromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// vitals are this member's own, nil while it is no server of raft.
func (c *Core) vitals(now time.Time) *vitals {
	raft := c.node.Status()
	servers := slices.Concat(raft.Voters, raft.Nonvoters)
	i := slices.Index(servers, c.id())
	if i < 0 {
		return nil
	}
	v := c.senses.of(slices.Delete(servers, i, i+1), now)
	v.FsyncP999, v.Lease = millis(c.node.Fsync()), millis(c.node.Lease())
	if wanted := c.wanted.Load(); wanted != nil && raft.Leader == c.id() {
		v.Wanted = *wanted
	}
	return v
}

// pace is the election timeout by what all voters measure, and the one that would do if no lease stood in its way:
// that one is stored, and the next start has its lease from it. Only beat uses it.
type pace struct {
	now, free plan.Pace
	stored    time.Duration
}

// storedTimeout is the file that keeps the election timeout between two starts.
type storedTimeout struct {
	Timeout string `json:"timeout"`
}

// startPace puts the timeout that the last life stored into the timing; without one it stays cautious.
func (c *Core) startPace(t consensus.Timing) (consensus.Timing, error) {
	if t == (consensus.Timing{}) {
		t = consensus.DefaultTiming()
	}
	var last storedTimeout
	switch err := c.dir.read(fileTimeout, &last); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return t, err
	default:
		d, err := time.ParseDuration(last.Timeout)
		if err != nil {
			return t, fmt.Errorf("read %q: %w", c.dir.path(fileTimeout), err)
		}
		c.pace.stored = d
		t = t.WithTimeout(d)
	}
	c.pace.now, c.pace.free = plan.Pace{Timeout: t.Heartbeat}, plan.Pace{Timeout: t.Heartbeat}
	return t, nil
}

// keepPace sets the election timeout by what the voters said last, and keeps what the next start needs to know.
func (c *Core) keepPace(now time.Time) error {
	seen, _, _ := c.board.all()
	raft := c.node.Status()
	if len(raft.Voters) == 0 {
		return nil
	}
	figures, measured := voterFigures(raft.Voters, seen, now)
	wanted := plan.Timeout(figures)
	for i := range figures {
		figures[i].Lease = 0
	}
	free := plan.Timeout(figures)
	if !measured { // then it may grow, and does not shrink
		wanted, free = max(wanted, c.pace.now.Timeout), max(free, c.pace.free.Timeout)
	}
	c.pace.now, c.pace.free = c.pace.now.Next(now, wanted), c.pace.free.Next(now, free)
	c.node.SetTimeout(c.pace.now.Timeout)
	if c.pace.free.Timeout == c.pace.stored {
		return nil
	}
	c.pace.stored = c.pace.free.Timeout
	return c.dir.write(fileTimeout, storedTimeout{Timeout: c.pace.stored.String()})
}

// voterFigures are those of the voters whose word is fresh, and whether all of them have measured enough.
func voterFigures(voters []store.MemberID, seen map[store.MemberID]sighting, now time.Time) (all []plan.Figures, measured bool) {
	measured = true
	for _, id := range voters {
		s := seen[id]
		if !s.fresh(now) {
			continue
		}
		if s.vitals == nil {
			measured = false
			continue
		}
		f := plan.Figures{Fsync999: fromMillis(s.vitals.FsyncP999), Lease: fromMillis(s.vitals.Lease)}
		for _, other := range voters {
			trip, known := s.vitals.RTT[other]
			_, silent := s.vitals.Silent[other]
			measured = measured && (known || silent || other == id)
			f.RTT99 = max(f.RTT99, fromMillis(trip.P99))
		}
		all = append(all, f)
	}
	return all, measured
}
