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
)

var (
	seeds        = flag.Int("seeds", 3, "how many fresh seeds TestSeeds plays")
	scheduleFile = flag.String("schedule", "", "file of the schedule that TestSchedule plays")
	times        = flag.Int("times", 5, "how often TestSchedule plays it")
)

func TestSeeds(t *testing.T) {
	for i := range *seeds {
		seed := *seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("seed %d", seed)
			s := sim.Generate(seed)
			out := sim.Play(t, s, nil)
			report(t, s, out)
		})
	}
}

// report says what came of a run, and how to repeat one that failed.
func report(t *testing.T, s sim.Schedule, out sim.Outcome) {
	t.Helper()
	t.Logf("%d operations, %d revisions, %s of virtual time in %s", out.Ops, out.Revisions, out.Virtual.Round(time.Second), out.Wall.Round(10*time.Millisecond))
	if out.Undecided {
		t.Log("a history took too long to judge")
	}
	if len(out.Faults) == 0 {
		return
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("hanse-sim-%d", s.Seed))
	if err := os.WriteFile(file, []byte(s.String()), 0o644); err != nil {
		t.Error(err)
	}
	var b strings.Builder
	for _, f := range out.Faults {
		fmt.Fprintln(&b, " ", f)
	}
	t.Errorf("seed %d, schedule in %s:\n%s", s.Seed, file, b.String())
}

func TestSchedule(t *testing.T) {
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
	failed := 0
	for i := range *times {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			out := sim.Play(t, s, nil)
			report(t, s, out)
			if len(out.Faults) > 0 {
				failed++
			}
		})
	}
	t.Logf("fails %d of %d", failed, *times)
}
