package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
				var fleet, client time.Duration
				for range 3 {
					w := handedOn(t, g)
					fleet, client = max(fleet, w.pause("")), max(client, w.longest())
				}
				t.Logf("longest without a write: %s; between two writes of one client: %s", fleet, client)
				if most := 3*rtt + 20*time.Millisecond; fleet > most {
					t.Errorf("no write for more than %s", most)
				}
				if most := 8*rtt + 50*time.Millisecond; client > most {
					t.Errorf("a client waited for more than %s", most)
				}
			})
		})
	}
}

func TestTransferSaysWhatCameOfIt(t *testing.T) {
	bubble(t, 3, 40*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
		g.Found(3)
		old := g.Leader()
		ended, cancel := contextFor(t, time.Minute)
		cancel()
		if err := old.Node().Transfer(ended); !errors.Is(err, context.Canceled) || g.Leader() != old {
			t.Errorf("asked by who has gone: %v", err)
		}
		short, cancel := contextFor(t, 10*time.Millisecond) // shorter than any transfer
		defer cancel()
		if err := old.Node().Transfer(short); err != nil || short.Err() == nil || g.Leader() == old {
			t.Errorf("it has begun and succeeds: %v, of a context with %v", err, short.Err())
		}
	})
}

// writes are those that were committed, by who asked for them.
type writes struct {
	mu sync.Mutex
	at map[string][]time.Time
}

// pause is the longest time between two writes of a client, or of all.
func (w *writes) pause(client string) (longest time.Duration) {
	all := slices.Clone(w.at[client])
	for _, at := range w.at {
		if client == "" {
			all = append(all, at...)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	for i := 1; i < len(all); i++ {
		longest = max(longest, all[i].Sub(all[i-1]))
	}
	return longest
}

func (w *writes) longest() (longest time.Duration) {
	for client := range w.at {
		longest = max(longest, w.pause(client))
	}
	return longest
}

// handedOn moves the leadership once under load, four clients at each member.
func handedOn(t *testing.T, g *consensustest.Group) *writes {
	old := g.Leader()
	w := &writes{at: map[string][]time.Time{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, m := range g.Members {
		for i := range 4 {
			client := fmt.Sprintf("%s-%d", m.ID, i)
			wg.Go(func() { w.write(t, g, m, client, stop) })
		}
	}
	time.Sleep(time.Second)
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
	return w
}

func (w *writes) write(t *testing.T, g *consensustest.Group, m *consensustest.Member, client string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		ctx, cancel := contextFor(t, 5*time.Second)
		_, err := g.Put(ctx, m, "/k/"+client, fmt.Sprint(n))
		cancel()
		if err != nil {
			t.Errorf("write %d of %s: %v", n, client, err)
		}
		w.mu.Lock()
		w.at[client] = append(w.at[client], time.Now())
		w.mu.Unlock()
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}
