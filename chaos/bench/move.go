package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// around is how long clients write before and after a change of leader.
const around = 500 * time.Millisecond

// tries is how often a change of leader is tried again that could not be made.
const tries = 5

// moves measures planned changes of leader under writes: the longest time without a completed write, and the writes
// that failed.
func (b *bed) moves(ctx context.Context) ([]Row, error) {
	trios, err := b.faraway(ctx)
	if err != nil {
		return nil, err
	}
	var gaps, failed [2][]float64
	for i := range b.Moves {
		for which, t := range trios {
			gap, bad, err := b.move(ctx, t)
			for try := 0; err != nil && try < tries; try++ {
				b.say("%s: %v; once more", t.name, err) // the leader had changed by itself
				gap, bad, err = b.move(ctx, t)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			gaps[which], failed[which] = append(gaps[which], milliseconds(gap)), append(failed[which], float64(bad))
		}
		b.say("leadership moved %d of %d times", i+1, b.Moves)
	}
	rtt := milliseconds(b.RoundTrip)
	longest := func(runs []float64) []float64 { return []float64{slices.Max(runs)} }
	sum := func(runs []float64) []float64 {
		total := 0.0
		for _, n := range runs {
			total += n
		}
		return []float64{total}
	}
	name := fmt.Sprintf("planned change of leader, %s RTT, ", b.RoundTrip)
	return []Row{
		newRow(name+"median gap", inMilliseconds, gaps[0], gaps[1], nil),
		newRow(name+"longest gap", inMilliseconds, longest(gaps[0]), longest(gaps[1]), atMost(3*rtt, inMilliseconds)),
		newRow(name+"writes", failures, sum(failed[0]), sum(failed[1]), atMost(0, failures)),
	}, nil
}

// move writes through all members at once while the leadership moves.
func (b *bed) move(ctx context.Context, t *trio) (gap time.Duration, failed int, err error) {
	leader, others, err := t.split(ctx)
	if err != nil {
		return 0, 0, err
	}
	to, err := others[0].client.Status(ctx, others[0].api)
	if err != nil {
		return 0, 0, err
	}
	w := &witness{}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for i, n := range append(others, leader) {
		for j := range 4 {
			wg.Go(func() { w.write(writing, n.client, "move-"+strconv.Itoa(i)+"-"+strconv.Itoa(j)) })
		}
	}
	err = rest(ctx, around)
	from := time.Now()
	if err == nil {
		_, err = leader.client.MoveLeader(ctx, to.Header.MemberId)
	}
	until := time.Now().Add(around)
	if err == nil {
		err = rest(ctx, around)
	}
	stop()
	wg.Wait()
	return w.longest(from, until), w.failed, err
}

// witness sees when writes were committed.
type witness struct {
	mu        sync.Mutex
	committed []time.Time
	failed    int
}

// write writes one key again and again. A write that was under way when ctx ended is not judged.
func (w *witness) write(ctx context.Context, c *clientv3.Client, key string) {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, patience)
		_, err := c.Put(call, key, value)
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		if err == nil {
			w.committed = append(w.committed, time.Now())
		} else {
			w.failed++
		}
		w.mu.Unlock()
		if err != nil {
			_ = rest(ctx, knock)
		}
	}
}

// longest is the longest time without a commit that touches from … until.
func (w *witness) longest(from, until time.Time) (gap time.Duration) {
	slices.SortFunc(w.committed, time.Time.Compare)
	for i := 1; i < len(w.committed); i++ {
		before, after := w.committed[i-1], w.committed[i]
		if after.After(from) && before.Before(until) {
			gap = max(gap, after.Sub(before))
		}
	}
	return gap
}
