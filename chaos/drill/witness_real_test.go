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

// witness asks every member of a realm again and again what can be lost, until the test ends, and compares it with the
// truth. No member knows of a death at once: until it has noticed it may promise too much, and how long it did is told. From then on, until the
// next region dies, it must not. That it notices at all the drills wait for (settle, truthful), and within how long is chaos/sim's to check: there
// the clocks are right.
func (r *realm) witness(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { stop(); group.Wait() })
	for _, m := range r.seats {
		group.Go(func() { r.listen(ctx, t, m) })
	}
}

func (r *realm) listen(ctx context.Context, t *testing.T, m seat) {
	turn, died, noticed, since := 0, 0, true, time.Now()
	for pause.For(ctx, 200*time.Millisecond) {
		before, _ := r.now()
		s, err := m.status(ctx)
		after, dead := r.now()
		if err != nil || before != after || slices.Contains(dead, m.region) {
			continue // it is dead, or a region died or rose while it was asked
		}
		if after != turn {
			noticed = noticed && len(dead) < died // what was true still is when a region rises
			turn, died, since = after, len(dead), time.Now()
		}
		switch more := beyond(s, dead); {
		case len(more) == 0 && s.Quorum.Have && !noticed:
			noticed = true
			t.Logf("%s knows, after %s, what can be lost with %v dead: %v", m.name, round(time.Since(since)), dead, s.RegionsYouCanLose)
		case len(more) > 0 && noticed:
			t.Errorf("%s says that %v can be lost, with voters %v and %v dead, and had known better", m.name, more, votersByRegion(s), dead)
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
