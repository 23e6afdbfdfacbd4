package sim_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/law"
)

// crowd is a fleet of so many members, the regions in turn. Only the first three of a region may vote.
func crowd(t *testing.T, f *sim.Fleet, members int, regions ...string) {
	t.Helper()
	f.Found("m0", regions[0])
	for i := 1; i < members; i++ {
		terms := law.Terms{}
		if i/len(regions) >= 3 {
			terms.Voting = v1alpha1.VotingNever
		}
		f.JoinBy(terms, fmt.Sprint("m", i), regions[i%len(regions)])
	}
}

// wrong counts, over all members, those whom a running member calls away, and those who are away but called reached.
func wrong(f *sim.Fleet) (n int) {
	running := map[string]bool{}
	for _, m := range f.Members {
		running[m.Name] = m.Running()
	}
	for _, m := range f.Members {
		if !m.Running() {
			continue
		}
		for _, c := range m.Core.Status().Clusters {
			if c.Reachable != running[c.Name] {
				n++
			}
		}
	}
	return n
}

// untold counts the pairs of running members of which one has not heard what the other says of a bundle.
func untold(f *sim.Fleet, bundle, revision string) (n int) {
	for _, m := range f.Members {
		for _, of := range f.Members {
			if m.Running() && of.Running() {
				if w, _ := m.Core.Told(of.ID(), bundle); w.Applied != revision {
					n++
				}
			}
		}
	}
	return n
}

func tellAll(f *sim.Fleet, revision string) {
	for _, m := range f.Members {
		if m.Running() {
			m.Core.Tell(map[string]v1alpha1.WorkStatus{"shop": {Applied: revision, Health: v1alpha1.HealthReady}})
		}
	}
}

func TestMembersHearOfEachOtherWithoutAMesh(t *testing.T) {
	members := 60
	if testing.Short() {
		members = 24
	}
	synctest.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		crowd(t, f, members, "eu", "us", "ap", "sa")
		f.Await("every member sees every other", 2*time.Minute, func() bool { return wrong(f) == 0 })
		tellAll(f, "shop-1")
		start := time.Now()
		f.Await("every member knows what runs in every cluster", 10*time.Second, func() bool { return untold(f, "shop", "shop-1") == 0 })
		t.Logf("told everywhere after %s", time.Since(start))

		time.Sleep(2 * time.Minute) // what is not used any more is closed
		var counts []int
		streams := 0
		for _, m := range f.Members {
			n := 0
			for _, p := range m.Core.Peers() {
				n++
				streams += p.Connections
			}
			counts = append(counts, n)
		}
		slices.Sort(counts)
		t.Logf("connected to: least %d, median %d, most %d; %d connections in all", counts[0], counts[len(counts)/2], counts[len(counts)-1], streams/2)
		if counts[len(counts)/2] > 3 {
			t.Errorf("a member is connected to %d others", counts[len(counts)/2])
		}

		quiet := f.Members[members-1]
		quiet.Kill()
		start = time.Now()
		f.Await("all see that it is away", 20*time.Second, func() bool { return wrong(f) == 0 })
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		quiet.Start()
		f.Await("all see that it is back", 30*time.Second, func() bool { return wrong(f) == 0 })
		tellAll(f, "shop-2")
		f.Await("what it says in its next life is newer", 10*time.Second, func() bool { return untold(f, "shop", "shop-2") == 0 })
	})
}
