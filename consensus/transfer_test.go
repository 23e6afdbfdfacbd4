package consensus_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// TestPlannedChangeOfLeader writes through every member while the leadership is handed on: no write fails, and the pause
// is a few round trips.
func TestPlannedChangeOfLeader(t *testing.T) {
	for _, rtt := range []time.Duration{2 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond} {
		t.Run(fmt.Sprint("round trip ", rtt), func(t *testing.T) {
			bubble(t, 3, rtt/2, func(t *testing.T, g *consensustest.Group) {
				g.Found(3)
				var longest, usual time.Duration
				for range 3 {
					u, l := handedOn(t, g)
					usual, longest = max(usual, u), max(longest, l)
				}
				t.Logf("longest between two writes of a client: %s, %s while nothing changes", longest, usual)
				if most := 8*rtt + 50*time.Millisecond; longest > most {
					t.Errorf("more than %s", most)
				}
			})
		})
	}
}

// handedOn moves the leadership once under load, and returns the longest time from one write of a client to its next,
// before that and in all.
func handedOn(t *testing.T, g *consensustest.Group) (usual, longest time.Duration) {
	old := g.Leader()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, m := range g.Members {
		wg.Go(func() {
			for n, last := 0, time.Now(); ; n++ {
				ctx, cancel := contextFor(t, 5*time.Second)
				_, err := g.Put(ctx, m, "/k/"+string(m.ID), fmt.Sprint(n))
				cancel()
				if err != nil {
					t.Errorf("write %d at %s: %v", n, m.ID, err)
				}
				mu.Lock()
				longest = max(longest, time.Since(last))
				mu.Unlock()
				last = time.Now()
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
	}
	time.Sleep(time.Second)
	mu.Lock()
	usual = longest
	mu.Unlock()
	ctx, cancel := contextFor(t, 5*time.Second)
	defer cancel()
	if err := old.Node().Transfer(ctx); err != nil {
		t.Error(err)
	}
	time.Sleep(2 * time.Second)
	close(stop)
	wg.Wait()
	if g.Leader() == old {
		t.Errorf("%s still leads", old.ID)
	}
	return usual, longest
}
