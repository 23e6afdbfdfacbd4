package sim_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
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

// soon waits until a count that is dear to take is zero.
func soon(t *testing.T, what string, within time.Duration, count func() int) time.Duration {
	t.Helper()
	start := time.Now()
	for count() > 0 {
		if time.Since(start) > within {
			t.Fatalf("after %s, not yet for %d: %s", within, count(), what)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return time.Since(start)
}

var many = flag.Int("members", 0, "how many members the fleet has that is counted; 0: 60, or 24 with -short or -race")

func TestMembersHearOfEachOtherWithoutAMesh(t *testing.T) {
	members := *many
	switch {
	case members > 0:
	case testing.Short(), virtual.Race:
		members = 24
	default:
		members = 60
	}
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		f.InMemory()
		defer f.Close()
		crowd(t, f, members, "eu", "us", "ap", "sa")
		away := func() int { return wrong(f) }
		soon(t, "every member sees every other", 2*time.Minute, away)
		tellAll(f, "shop-1")
		took := soon(t, "every member knows what runs in every cluster", 10*time.Second, func() int { return untold(f, "shop", "shop-1") })
		t.Logf("told everywhere within %s", took)
		fewConnections(t, f)

		quiet := f.Members[members-1]
		quiet.Kill()
		if took := soon(t, "all see that it is away", 20*time.Second, away); took > 5*time.Second {
			t.Errorf("that it is away was seen everywhere after %s", took)
		}
		quiet.Start()
		soon(t, "all see that it is back", 30*time.Second, away)
		tellAll(f, "shop-2")
		soon(t, "what it says in its next life is newer", 10*time.Second, func() int { return untold(f, "shop", "shop-2") })
	})
}

// fewConnections counts what a fleet at rest keeps and sends. Servers of raft are connected to each other; everybody else
// to a source, and a few to the leader for what they ask of it.
func fewConnections(t *testing.T, f *sim.Fleet) {
	t.Helper()
	time.Sleep(2 * time.Minute) // what is not used any more is closed
	const minute = 60
	before := map[string]sim.Traffic{}
	for _, m := range f.Members {
		before[m.Name] = f.Net.Sent(m.Host())
	}
	time.Sleep(minute * time.Second)
	servers := map[store.MemberID]bool{}
	status := f.Leader().Core.Node().Status()
	for _, id := range append(status.Voters, status.Nonvoters...) {
		servers[id] = true
	}
	var peers, bytes, packets []int
	all := 0
	for _, m := range f.Members {
		n := len(m.Core.Peers())
		all += n
		sent := f.Net.Sent(m.Host())
		sent.Bytes, sent.Packets = sent.Bytes-before[m.Name].Bytes, sent.Packets-before[m.Name].Packets
		if m.ID() == status.ID {
			t.Logf("the leader is connected to %d, and sends %d bytes in %d packets a second", n, sent.Bytes/minute, sent.Packets/minute)
		}
		if !servers[m.ID()] {
			peers, bytes, packets = append(peers, n), append(bytes, sent.Bytes/minute), append(packets, sent.Packets/minute)
		}
	}
	for _, counts := range [][]int{peers, bytes, packets} {
		slices.Sort(counts)
	}
	last := len(peers) - 1
	t.Logf("a follower is connected to %d, at most %d; it sends %d bytes in %d packets a second, at most %d", peers[last/2], peers[last], bytes[last/2], packets[last/2], bytes[last])
	t.Logf("%d connected pairs in a fleet of %d", all/2, len(f.Members))
	// A tree, and the servers among themselves.
	if most := len(f.Members) + len(servers)*len(servers); all/2 > most || peers[last/2] > 2 {
		t.Errorf("%d connected pairs, and %d for a follower", all/2, peers[last/2])
	}
}
