package sim_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

var seed = flag.Uint64("seed", 1, "seed of the simulations: the same in each run of the tests, and a fresh one from make sim")

// random returns the numbers of a run, and says how to have the same ones again.
func random(t *testing.T) *rand.Rand {
	t.Logf("seed %d; again with: go test ./chaos/sim -run '^%s$' -seed %d", *seed, t.Name(), *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// wide is the latency of a fleet over continents.
func wide(from, to string) time.Duration { return 20 * time.Millisecond }

// five gives a fleet five members in three regions and waits until three vote.
func five(f *sim.Fleet) {
	f.Found("fra", "eu")
	for _, m := range [][2]string{{"iad", "us"}, {"sin", "ap"}, {"ams", "eu"}, {"pdx", "us"}} {
		f.Join(m[0], m[1])
	}
	f.Await("three members vote", time.Minute, func() bool { return f.Voters() == 3 && all(f, 3) })
}

// all says whether every member knows of so many voters.
func all(f *sim.Fleet, voters int) bool {
	for _, m := range f.Members {
		if m.VotersTold() != voters {
			return false
		}
	}
	return true
}

func TestAPartitionedLeaderLosesNoAcknowledgedWriteAndServesNoStaleRead(t *testing.T) {
	wall := time.Now()
	virtual.Test(t, func(t *testing.T) {
		rng := random(t)
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		load := startLoad(f, rng)
		time.Sleep(2 * time.Second)
		for range 3 {
			old := f.Leader()
			old.Isolate()
			f.Await("the others have a leader", 30*time.Second, func() bool {
				for _, m := range f.Members {
					if id, _, ok := m.Core.Node().Leader(); m != old && ok && id == m.ID() {
						return true
					}
				}
				return false
			})
			time.Sleep(time.Duration(1000+rng.IntN(4000)) * time.Millisecond)
			f.Net.Heal()
			time.Sleep(time.Duration(1000+rng.IntN(4000)) * time.Millisecond)
		}
		acked := load.stop()
		t.Logf("%d writes acknowledged, %d reads checked, %v of virtual time", load.writes, load.reads, time.Since(load.started).Round(time.Second))
		if load.writes < 100 || load.reads < 100 {
			t.Errorf("that is no load")
		}
		f.Await("all members have every acknowledged write", time.Minute, func() bool {
			for _, m := range f.Members {
				for key, n := range acked {
					if m.Has(key) < n {
						return false
					}
				}
			}
			return true
		})
	})
	t.Logf("%v of wall time", time.Since(wall).Round(10*time.Millisecond))
}

// load writes and reads through every member. Each writer has keys of its own and writes growing numbers; a read that
// began after a write was acknowledged must find it, or a later one.
type load struct {
	started time.Time
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	mu      sync.Mutex
	acked   map[string]int
	writes  int
	reads   int
}

func startLoad(f *sim.Fleet, rng *rand.Rand) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{started: time.Now(), cancel: cancel, acked: map[string]int{}}
	for i, m := range f.Members {
		pause := time.Duration(20+rng.IntN(40)) * time.Millisecond
		l.wg.Go(func() { l.write(ctx, m, fmt.Sprintf("w%d", i), pause) })
		l.wg.Go(func() { l.read(ctx, f.T, m, pause) })
	}
	return l
}

func (l *load) write(ctx context.Context, m *sim.Member, name string, pause time.Duration) {
	for n := 1; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("%s-%d", name, n%50)
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := m.Write(try, key, n)
		cancel()
		if err == nil {
			l.mu.Lock()
			l.acked[key] = n
			l.writes++
			l.mu.Unlock()
		}
		time.Sleep(pause)
	}
}

func (l *load) read(ctx context.Context, t testing.TB, m *sim.Member, pause time.Duration) {
	for ctx.Err() == nil {
		l.mu.Lock()
		expected := make(map[string]int, len(l.acked))
		for k, n := range l.acked {
			expected[k] = n
			if len(expected) == 5 {
				break
			}
		}
		l.mu.Unlock()
		for key, n := range expected {
			try, cancel := context.WithTimeout(ctx, time.Second)
			got, err := m.Read(try, key)
			cancel()
			if err != nil {
				continue
			}
			if got < n {
				t.Errorf("%s read %d for %s, after %d was acknowledged", m.Name, got, key, n)
			}
			l.mu.Lock()
			l.reads++
			l.mu.Unlock()
		}
		time.Sleep(pause)
	}
}

// stop ends the load and returns what was acknowledged.
func (l *load) stop() map[string]int {
	l.cancel()
	l.wg.Wait()
	return l.acked
}
