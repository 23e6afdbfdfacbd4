package drill

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// notices is how long a member may promise too much after a death: some heartbeats, as in chaos/sim. There the clocks are right.
// Here a word goes through four hands, each of which this machine may wake late.
const (
	notices = 4 * time.Second
	hands   = 4
)

// witness asks every member of a realm again and again what can be lost, until the test ends, and compares it with the
// truth. No member knows of a death at once: until it has noticed, and no longer than notices, it may promise too much, and how
// long it did is told. From then on, until the next region dies, it must not.
func (r *realm) witness(t *testing.T) {
	pulse := feel(t)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { stop(); group.Wait() })
	for _, m := range r.seats {
		group.Go(func() { r.listen(ctx, t, m, pulse) })
	}
}

func (r *realm) listen(ctx context.Context, t *testing.T, m seat, pulse *Pulse) {
	turn, died, noticed, since := 0, 0, true, time.Now()
	for pause.For(ctx, 200*time.Millisecond) {
		before, _ := r.now()
		asked := time.Now()
		s, err := m.status(ctx)
		after, dead := r.now()
		if err != nil || before != after || slices.Contains(dead, m.region) {
			continue // it is dead, or a region died or rose while it was asked
		}
		if after != turn {
			noticed = noticed && len(dead) < died // what was true still is when a region rises
			turn, died, since = after, len(dead), time.Now()
		}
		late, _ := pulse.Worst()
		switch more := beyond(s, dead); {
		case len(more) == 0 && s.Quorum.Have && !noticed:
			noticed = true
			t.Logf("%s knows, after %s, what can be lost with %v dead: %v", m.name, round(time.Since(since)), dead, s.RegionsYouCanLose)
		case len(more) > 0 && noticed, len(more) > 0 && asked.Sub(since) > notices+hands*late:
			t.Errorf("%s says that %v can be lost, with voters %v and %v dead for %s; this machine was %s late at most",
				m.name, more, votersByRegion(s), dead, round(asked.Sub(since)), round(late))
			return // once is enough
		}
	}
}

// now is what is dead, and a number that changes with it.
func (r *realm) now() (turn int, dead []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.turns, r.dead
}

// beyond are the regions of which a status says that they can be lost, and they cannot.
func beyond(s v1alpha1.FleetStatus, dead []string) []string {
	can := losable(s, dead)
	return slices.DeleteFunc(slices.Clone(s.RegionsYouCanLose), func(region string) bool { return slices.Contains(can, region) })
}
