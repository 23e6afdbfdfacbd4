package sim_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/sim"
)

var (
	bugName = flag.String("bug", "", "the bug that is put back; for TestBugTable, all of them: all")
	runs    = flag.Int("runs", 10, "how many seeds TestBugTable gives each bug to show itself")
)

// TestEachKnownBugIsCaught puts the bugs back, one at a time, and plays the schedule that goes for each. It must be caught by the
// check that is there for it.
func TestEachKnownBugIsCaught(t *testing.T) {
	long(t)
	for _, bug := range sim.Bugs() {
		t.Run(bug.Name, func(t *testing.T) {
			s, err := sim.Read(strings.NewReader(bug.Directed))
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			for i := range chances {
				s.Seed = *seed + uint64(i)
				if f, caught := bug.Caught(sim.Play(t, s, &bug)); caught {
					t.Logf("caught in run %d, %s: %s", i+1, time.Since(begun).Round(10*time.Millisecond), brief(f))
					return
				}
			}
			t.Errorf("seed %d: not caught by %q in %d runs", *seed, bug.By, chances)
		})
	}
}

// chances are how often a bug may hide: most show in the first run, one that needs a certain new leader in one of ten.
const chances = 60

// tries are how often a directed schedule is played: raft's goroutines are not seeded.
const tries = 8

// brief is the first line of what is wrong.
func brief(f sim.Fault) string {
	line, _, _ := strings.Cut(f.String(), "\n")
	return line
}

// TestBugTable measures how long fresh seeds take to catch each bug, and how often its own schedule does. It prints the
// table of docs/simulation.md, and plays nothing unless -bug is given.
func TestBugTable(t *testing.T) {
	if *bugName == "" {
		t.Skip("no -bug")
	}
	t.Logf("seed %d", *seed)
	rows := []string{"| bug | what | must be caught by | random seeds | its own schedule |", "|---|---|---|---|---|"}
	for _, bug := range sim.Bugs() {
		if *bugName == "all" || *bugName == bug.Name {
			rows = append(rows, fmt.Sprintf("| %s | %s | *%s* | %s | %s |", bug.Name, bug.What, bug.By, byChance(t, &bug), directed(t, &bug)))
			t.Log(rows[len(rows)-1])
		}
	}
	t.Logf("the table:\n%s", strings.Join(rows, "\n"))
}

// byChance plays seeds until one catches the bug: its check speaks with it, and none without.
func byChance(t *testing.T, bug *sim.Bug) string {
	begun := time.Now()
	for i := range *runs {
		s := sim.Generate(*seed + uint64(i))
		if _, caught := bug.Caught(sim.Play(t, s, bug)); caught && clean(sim.Play(t, s, nil)) {
			return fmt.Sprintf("run %d, %s", i+1, time.Since(begun).Round(100*time.Millisecond))
		}
	}
	return fmt.Sprintf("not in %d, %s", *runs, time.Since(begun).Round(time.Second))
}

// clean says that all was looked at, and nothing is wrong.
func clean(out sim.Outcome) bool { return len(out.Faults) == 0 && !out.Undecided }

// directed plays the schedule of a bug some times.
func directed(t *testing.T, bug *sim.Bug) string {
	s, err := sim.Read(strings.NewReader(bug.Directed))
	if err != nil {
		t.Fatal(err)
	}
	begun, times := time.Now(), 0
	for i := range tries {
		s.Seed = *seed + uint64(i)
		if _, caught := bug.Caught(sim.Play(t, s, bug)); caught {
			times++
		}
	}
	return fmt.Sprintf("%d of %d, %s each", times, tries, (time.Since(begun) / tries).Round(100*time.Millisecond))
}
