package agent

import (
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/report"
)

func TestLeaseWarning(t *testing.T) {
	voters := []store.MemberID{"a", "b", "c"}
	trips := func(b, c float64) *report.Vitals {
		return &report.Vitals{Lease: 250, RTT: map[store.MemberID]report.RoundTrip{"b": {P99: b}, "c": {P99: c}}}
	}
	for name, c := range map[string]struct {
		me     store.MemberID
		vitals *report.Vitals
		warns  bool
	}{
		"one of two others is near":  {"a", trips(40, 400), false},
		"both are far":               {"a", trips(180, 400), true},
		"nothing is measured yet":    {"a", &report.Vitals{Lease: 250}, false},
		"no server":                  {"a", nil, false},
		"one that does not vote":     {"x", trips(180, 400), false},
		"a lease that is longer":     {"a", &report.Vitals{Lease: 1000, RTT: trips(180, 400).RTT}, false},
		"exactly at what still fits": {"a", trips(175, 400), false},
	} {
		t.Run(name, func(t *testing.T) {
			got := leaseWarning(c.me, voters, c.vitals)
			if (got != "") != c.warns || c.warns && !strings.Contains(got, "250 ms") {
				t.Errorf("%q", got)
			}
		})
	}
}
