package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

// newer makes the members that start from now on run a program that can apply one version of the log more, or not.
func newer(f *sim.Fleet, is bool) { f.Seams = agent.Seams{Faults: fault.Set{NextVersion: is}} }

func TestAFleetIsRaisedToTheNextVersionWhenItsLastMemberIsUpgraded(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		newer(f, true)
		for i, m := range f.Members {
			for _, other := range f.Members {
				if v := other.Core.Store().View().Version(); v != 1 {
					t.Fatalf("with %d upgraded %s is at version %d", i, other.Name, v)
				}
			}
			if err := m.Stop(); err != nil {
				t.Fatal(err)
			}
			m.Start()
			write(t, m, "upgraded", i)
			time.Sleep(10 * time.Second) // it says what it can
		}
		f.Await("all apply the next version", time.Minute, func() bool {
			for _, m := range f.Members {
				if m.Core.Store().View().Version() != 2 {
					return false
				}
			}
			return true
		})

		token, err := f.Members[0].Core.CreateToken(t.Context(), law.Terms{})
		if err != nil {
			t.Fatal(err)
		}
		late := f.Candidate("late", "eu")
		if err := late.Enrol(t.Context(), token); err == nil || !strings.Contains(err.Error(), "join with a newer hanse") {
			t.Errorf("an older one joined: %v", err)
		}
		newer(f, false)
		back := f.Members[4]
		if err := back.Stop(); err != nil {
			t.Fatal(err)
		}
		back.Start()
		f.Await("the one that went back says so", time.Minute, func() bool { return back.Core.Node().Stopped() != nil })
		write(t, f.Members[0], "without", 1)
		if err := back.Stop(); err != nil {
			t.Fatal(err)
		}
		newer(f, true)
		back.Start()
		f.Await("upgraded again, it has all", time.Minute, func() bool { return back.Has("without") == 1 })
	})
}
