package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// knock is how often a client tries while there is no leader.
const knock = 10 * time.Millisecond

// kills measures how long no write is possible after the leader's process was killed, near and far, and near before
// anything was measured. All trios are killed side by side: they wait rather than work.
func (b *bed) kills(ctx context.Context) ([]Row, error) {
	near, err := b.nearby(ctx)
	if err != nil {
		return nil, err
	}
	far, err := b.faraway(ctx)
	if err != nil {
		return nil, err
	}
	fresh, err := b.unmeasured(ctx)
	if err != nil {
		return nil, err
	}
	trios := append(slices.Concat(near, far), fresh)
	gaps := make([][]time.Duration, len(trios))
	errs := make([]error, len(trios))
	var wg sync.WaitGroup
	for i, t := range trios {
		wg.Go(func() {
			for k := range b.Kills {
				var gap time.Duration
				if gap, errs[i] = killLeader(ctx, t); errs[i] != nil {
					return
				}
				gaps[i] = append(gaps[i], gap)
				if (k+1)%10 == 0 {
					b.say("%d of %d leaders killed: %s, trio %d", k+1, b.Kills, t.name, i)
				}
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", trios[i].name, err)
		}
	}
	return slices.Concat(
		gapRows("LAN", gaps[0], gaps[1], 500, 1000),
		gapRows("LAN, in its first life", gaps[4], nil, 500, 1000),
		gapRows(fmt.Sprintf("%s RTT", b.RoundTrip), gaps[2], gaps[3], 1000, 2000),
	), nil
}

// gapRows are the median and the 99th percentile; peer may be empty.
func gapRows(where string, ours, peer []time.Duration, p50, p99 float64) []Row {
	name := "leader killed → first committed write, " + where
	return []Row{
		newRow(name+", p50", inMilliseconds, gapAt(0.5, ours), gapAt(0.5, peer), atMost(p50, inMilliseconds)),
		newRow(name+", p99", inMilliseconds, gapAt(0.99, ours), gapAt(0.99, peer), atMost(p99, inMilliseconds)),
	}
}

func gapAt(quantile float64, gaps []time.Duration) []float64 {
	if len(gaps) == 0 {
		return nil
	}
	slices.Sort(gaps)
	return []float64{load{Took: gaps}.at(quantile)}
}

// killLeader kills the leader, waits for the first write through a survivor, and starts the killed one again.
func killLeader(ctx context.Context, t *trio) (gap time.Duration, err error) {
	leader, survivors, err := t.split(ctx)
	if err != nil {
		return 0, err
	}
	if err := rest(ctx, 300*time.Millisecond+rand.N(500*time.Millisecond)); err != nil {
		return 0, err
	}
	begun := time.Now()
	leader.kill()
	if err := firstWrite(ctx, survivors); err != nil {
		return 0, err
	}
	gap = time.Since(begun)
	if err := leader.start(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	return gap, t.settled(ctx)
}

// firstWrite sends writes to all the nodes, without waiting for their answers, and returns with the first that is
// committed.
func firstWrite(ctx context.Context, nodes []*node) error {
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	committed := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	ticks := time.NewTicker(knock)
	defer ticks.Stop()
	for {
		for _, n := range nodes {
			wg.Go(func() {
				if put(ctx, n.client) != nil {
					return
				}
				select {
				case committed <- struct{}{}:
				default:
				}
			})
		}
		select {
		case <-committed:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("no write in %s: %w", readyIn, ctx.Err())
		case <-ticks.C:
		}
	}
}

// rest waits.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
