package sim_test

import (
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/chaos/sim"
)

// TestTheSchedulesOfTheBugsAreCleanWithoutThem keeps a check that is too strict from passing for one that catches.
func TestTheSchedulesOfTheBugsAreCleanWithoutThem(t *testing.T) {
	long(t)
	played := map[string]bool{}
	for _, bug := range sim.Bugs() {
		if played[bug.Directed] {
			continue
		}
		played[bug.Directed] = true
		t.Run(bug.Name, func(t *testing.T) {
			s, err := sim.Read(strings.NewReader(bug.Directed))
			if err != nil {
				t.Fatal(err)
			}
			s.Seed = *seed
			out := sim.Play(t, s, nil)
			if len(out.Faults) > 0 {
				t.Errorf("seed %d: %s", s.Seed, faults(out))
			}
			if out.Undecided {
				t.Errorf("seed %d: %s", s.Seed, unjudged)
			}
		})
	}
}
