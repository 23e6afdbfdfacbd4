package report

import (
	"slices"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestSensesForgetTheRemovedOnly(t *testing.T) {
	s, now := newSenses(), time.Now()
	s.of([]store.MemberID{"a", "b"}, now)
	s.hear("a", now)
	s.hear("b", now)
	s.forget(func(id store.MemberID) bool { return id == "b" })
	if _, kept := s.heard["a"]; !kept {
		t.Error("the word of a living member is forgotten")
	}
	if _, kept := s.heard["b"]; kept {
		t.Error("the word of a removed member is kept")
	}
}

func TestRoundTripsBeforeAnOutageAreForgotten(t *testing.T) {
	s, now := newSenses(), time.Now()
	measure := func(n int, took time.Duration) {
		for range n {
			now = now.Add(time.Second)
			s.measure(map[store.MemberID]time.Duration{"a": took}, now)
			s.hear("a", now)
		}
	}
	figures := func() (RoundTrip, bool) {
		vitals, told := s.of([]store.MemberID{"a"}, now).RTT["a"]
		shown, too := s.tripsTo(slices.Values([]store.MemberID{"a"}), now)["a"]
		if vitals != shown || told != too {
			t.Errorf("%+v and %+v", vitals, shown)
		}
		return vitals, told
	}
	s.of([]store.MemberID{"a"}, now)
	measure(tripsKept, 200*time.Millisecond)
	if got, ok := figures(); !ok || got != (RoundTrip{200, 200}) {
		t.Errorf("%+v, %v", got, ok)
	}
	now = now.Add(time.Hour)
	measure(tripsNeeded-1, 20*time.Millisecond)
	if got, ok := figures(); ok {
		t.Errorf("of too few: %+v", got)
	}
	measure(1, 20*time.Millisecond)
	if got, ok := figures(); !ok || got != (RoundTrip{20, 20}) {
		t.Errorf("%+v, %v", got, ok)
	}
}
