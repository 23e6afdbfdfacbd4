package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/plan"
)

func TestNothingIsPromisedThatAChangeOfVotersTakesBack(t *testing.T) {
	seats := func(ids ...string) (out []plan.Seat) { // a1 lies in region a
		for _, id := range ids {
			out = append(out, plan.Seat{ID: id, Region: id[:1], Able: true})
		}
		return out
	}
	for name, tt := range map[string]struct {
		now, next []plan.Seat
		want      []string
	}{
		"nothing changes":                         {seats("a1", "b1", "c1"), seats("a1", "b1", "c1"), []string{"a", "b", "c"}},
		"one comes for another of its own region": {seats("a1", "b1", "c1"), seats("a2", "b1", "c1"), []string{"b", "c"}},
		"two more come":                           {seats("a1", "b1", "c1"), seats("a1", "b1", "c1", "a2", "b2"), []string{"c"}},
		"one goes":                                {seats("a1", "b1", "c1", "a2"), seats("a1", "b1", "c1"), []string{"b", "c"}},
	} {
		k := council{leader: "b1", living: []string{"a", "b", "c"}, now: tt.now, next: tt.next}
		if diff := cmp.Diff(tt.want, k.canLose()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
