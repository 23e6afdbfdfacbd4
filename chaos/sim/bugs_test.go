package sim_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/sim"
)

var (
	bugName = flag.String("bug", "", "the bug that TestBugs puts back, or all")
	runs    = flag.Int("runs", 10, "how many seeds TestBugs gives each bug to show itself")
)

// TestEachKnownBugIsCaught puts the bugs back, one at a time, and plays the schedule that goes for each.
func TestEachKnownBugIsCaught(t *testing.T) {
	for _, bug := range sim.Bugs() {
		t.Run(bug.Name, func(t *testing.T) {
			s, err := sim.Read(strings.NewReader(bug.Directed))
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			for i := range tries {
				s.Seed = *seed + uint64(i)
				if out := sim.Play(t, s, &bug); len(out.Faults) > 0 {
					t.Logf("caught in run %d, %s: %s", i+1, time.Since(begun).Round(10*time.Millisecond), brief(out.Faults[0]))
					return
				}
			}
			t.Errorf("seed %d: not caught in %d runs", *seed, tries)
		})
	}
}

// tries are how often a directed schedule is played: raft's goroutines are not seeded.
const tries = 8

// brief is the first line of what is wrong.
func brief(f sim.Fault) string {
	line, _, _ := strings.Cut(f.String(), "\n")
	return line
}

// TestRandomSeedsCatchBugs measures how long fresh seeds take to catch each bug. It is for the table in the docs, and
// plays nothing unless -bug is given.
func TestRandomSeedsCatchBugs(t *testing.T) {
	if *bugName == "" {
		t.Skip("no -bug")
	}
	for _, bug := range sim.Bugs() {
		if *bugName != "all" && *bugName != bug.Name {
			continue
		}
		begun := time.Now()
		for i := 0; ; i++ {
			s := sim.Generate(*seed + uint64(i))
			if i == *runs {
				t.Logf("%s: not caught in %d seeds, %s", bug.Name, *runs, time.Since(begun).Round(100*time.Millisecond))
				break
			}
			if out := sim.Play(t, s, &bug); len(out.Faults) > 0 {
				t.Logf("%s: caught in run %d of %d (seed %d), %s: %s", bug.Name, i+1, *runs, s.Seed, time.Since(begun).Round(100*time.Millisecond), brief(out.Faults[0]))
				break
			}
		}
	}
}
