package sim_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

var (
	seeds        = flag.Int("seeds", seedsUnlessTold(), "how many seeds from that one on TestSeeds and TestNoRevisionOfTheLogHasTwoFaultDomainsInChange play")
	scheduleFile = flag.String("schedule", "", "file of the schedule that TestSchedule and TestReduce play")
	times        = flag.Int("times", 5, "how often they play it")
)

// seedsUnlessTold is how many seeds are played when no flag says. Under the race detector each takes several times as long.
func seedsUnlessTold() int {
	if virtual.Race {
		return 1
	}
	return 3
}

// long leaves a test out with -short and under the race detector: it plays bugs that are put back, or more of what others play there, too.
// make test plays all of them without it.
func long(t *testing.T) {
	t.Helper()
	if virtual.Race || testing.Short() {
		t.Skip("long: play it without -race and -short")
	}
}

// rounds is how often something is played: once where long tests are left out.
func rounds(n int) int {
	if virtual.Race || testing.Short() {
		return 1
	}
	return n
}

// unjudged is what is wrong with a run in which nothing was found wrong, and not all was looked at.
const unjudged = "a history took too long to judge: the run is neither clean nor wrong"

// TestSeeds plays schedules that are made from seeds, from -seed on.
func TestSeeds(t *testing.T) {
	wrong, undecided := 0, 0
	for i := range *seeds {
		seed := *seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("seed %d", seed)
			s := sim.Generate(seed)
			out := sim.Play(t, s, putBack(t))
			if len(out.Faults) > 0 {
				wrong++
			}
			if out.Undecided {
				undecided++
			}
			report(t, s, out)
		})
	}
	t.Logf("%d seeds: %d wrong, %d not judged to the end", *seeds, wrong, undecided)
}

// TestSchedule plays a schedule again and says how often it fails.
func TestSchedule(t *testing.T) {
	s := given(t)
	failed, bug := 0, putBack(t)
	for range *times {
		out := sim.Play(t, s, bug)
		if len(out.Faults) > 0 {
			failed++
			t.Errorf("%s", faults(out))
		}
		if out.Undecided {
			t.Error(unjudged)
		}
	}
	t.Logf("fails %d of %d", failed, *times)
}

// TestReduce cuts a schedule down while it still fails at least once in so many times.
func TestReduce(t *testing.T) {
	s, bug := given(t), putBack(t)
	small := sim.Reduce(s, func(s sim.Schedule) bool {
		for range *times {
			if len(sim.Play(t, s, bug).Faults) > 0 {
				return true
			}
		}
		return false
	})
	t.Logf("%d of %d events and %d of %d clients are left, in %s", len(small.Events), len(s.Events), len(small.Clients), len(s.Clients), keep(t, small, "-small"))
}

// given is the schedule that the command line names.
func given(t *testing.T) sim.Schedule {
	t.Helper()
	if *scheduleFile == "" {
		t.Skip("no -schedule")
	}
	f, err := os.Open(*scheduleFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := sim.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// putBack is the bug that the command line names, nil for none.
func putBack(t *testing.T) *sim.Bug {
	t.Helper()
	for _, bug := range sim.Bugs() {
		if bug.Name == *bugName {
			return &bug
		}
	}
	if *bugName != "" {
		t.Fatalf("no bug is called %q", *bugName)
	}
	return nil
}

// report says what came of a run, and how to repeat one that failed, and to cut it down.
func report(t *testing.T, s sim.Schedule, out sim.Outcome) {
	t.Helper()
	t.Logf("%d operations, %d revisions, %s of virtual time in %s", out.Ops, out.Revisions, out.Virtual.Round(time.Second), out.Wall.Round(10*time.Millisecond))
	if out.Undecided {
		t.Errorf("seed %d: %s", s.Seed, unjudged)
	}
	if len(out.Faults) > 0 {
		play := " -v -schedule " + keep(t, s, "")
		if *bugName != "" {
			play += " -bug " + *bugName
		}
		t.Errorf("seed %d fails:\n%s\nagain:    go test ./chaos/sim -run '^TestSchedule$'%s -times 10\ncut down: go test ./chaos/sim -run '^TestReduce$'%s",
			s.Seed, faults(out), play, play)
	}
}

// keep writes a schedule where it outlives the test.
func keep(t *testing.T, s sim.Schedule, suffix string) string {
	t.Helper()
	file := filepath.Join(os.TempDir(), fmt.Sprintf("hanse-sim-%d%s", s.Seed, suffix))
	if err := os.WriteFile(file, []byte(s.String()), 0o644); err != nil {
		t.Error(err)
	}
	return file
}

func faults(out sim.Outcome) string {
	var lines []string
	for _, f := range out.Faults {
		lines = append(lines, "  "+f.String())
	}
	return strings.Join(lines, "\n")
}
