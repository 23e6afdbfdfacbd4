package sim_test

import (
	"flag"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/sim"
)

var (
	bugName = flag.String("bug", "", "the bug that TestBugs puts back, or all")
	runs    = flag.Int("runs", 10, "how many seeds TestBugs gives each bug to show itself")
)

func TestBugs(t *testing.T) {
	if *bugName == "" {
		t.Skip("no -bug")
	}
	for _, bug := range sim.Bugs() {
		if *bugName != "all" && *bugName != bug.Name {
			continue
		}
		t.Run(bug.Name, func(t *testing.T) {
			begun := time.Now()
			for i := range *runs {
				out := sim.Play(t, sim.Generate(*seed+uint64(i)), &bug)
				if len(out.Faults) > 0 {
					t.Logf("caught in run %d, %s: %s", i+1, time.Since(begun).Round(10*time.Millisecond), out.Faults[0])
					return
				}
			}
			t.Errorf("not caught in %d runs, %s", *runs, time.Since(begun).Round(time.Second))
		})
	}
}
