package report

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

const (
	// tripsFor is for how long round trips to a member are remembered, tripsKept how many at most, tripsNeeded how many make
	// figures. What was measured before an outage says nothing of the way after it.
	tripsFor               = time.Minute
	tripsKept, tripsNeeded = 60, 10
	// silentAfter is from when on silence is worth a word.
	silentAfter = UnreachableAfter
)

// senses is what this member itself notices of the others, beside what they say.
type senses struct {
	mu sync.Mutex
	// expected is since when a word of a server is waited for: before, it had no reason to speak to this member.
	expected map[store.MemberID]time.Time
	heard    map[store.MemberID]time.Time // its own word, on a connection of its own
	trips    map[store.MemberID][]trip
}

// trip is one round trip, and when it was measured.
type trip struct {
	at   time.Time
	took time.Duration
}

func newSenses() *senses {
	return &senses{expected: map[store.MemberID]time.Time{}, heard: map[store.MemberID]time.Time{}, trips: map[store.MemberID][]trip{}}
}

// hear notes a word that came from the member itself.
func (s *senses) hear(id store.MemberID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard[id] = at
}

// measure takes the round trips of now.
func (s *senses) measure(trips map[store.MemberID]time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, took := range trips {
		all := append(s.trips[id], trip{now, took})
		s.trips[id] = all[max(0, len(all)-tripsKept):]
	}
}

// forget drops members that are not in the fleet any more.
func (s *senses) forget(removed func(store.MemberID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.heard, func(id store.MemberID, _ time.Time) bool { return removed(id) })
	maps.DeleteFunc(s.trips, func(id store.MemberID, _ []trip) bool { return removed(id) })
}

// of says what is noticed of the other servers.
func (s *senses) of(servers []store.MemberID, now time.Time) *Vitals {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &Vitals{RTT: map[store.MemberID]RoundTrip{}, Silent: map[store.MemberID]float64{}}
	s.expect(servers, now)
	for _, id := range servers {
		since := s.expected[id]
		if heard := s.heard[id]; heard.After(since) {
			since = heard
		}
		if silence := now.Sub(since); silence >= silentAfter {
			v.Silent[id] = silence.Round(100 * time.Millisecond).Seconds()
		} else if rtt, ok := s.figures(id, now); ok {
			v.RTT[id] = rtt
		}
	}
	return v
}

// tripsTo are the figures of those to whom enough round trips were measured.
func (s *senses) tripsTo(members iter.Seq[store.MemberID], now time.Time) map[store.MemberID]RoundTrip {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[store.MemberID]RoundTrip{}
	for id := range members {
		if rtt, ok := s.figures(id, now); ok {
			all[id] = rtt
		}
	}
	return all
}

// figures are those of the last minute, if there are enough of it. The caller holds mu.
func (s *senses) figures(id store.MemberID, now time.Time) (RoundTrip, bool) {
	var took []time.Duration
	for _, t := range s.trips[id] {
		if now.Sub(t.at) <= tripsFor {
			took = append(took, t.took)
		}
	}
	if len(took) < tripsNeeded {
		return RoundTrip{}, false
	}
	slices.Sort(took)
	return RoundTrip{Least: Millis(took[0]), P99: Millis(took[(len(took)-1)*99/100])}, true
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
