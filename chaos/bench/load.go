package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	valueSize = 256
	keys      = 10_000
	// perConnection is how many clients share a connection, as a Kubernetes API server's requests do.
	perConnection = 16
	// patience is how long a single request may take.
	patience = 10 * time.Second
)

var value = strings.Repeat("x", valueSize)

// call is one request of one client.
type call func(ctx context.Context, c *clientv3.Client) error

func put(ctx context.Context, c *clientv3.Client) error {
	_, err := c.Put(ctx, fmt.Sprintf("key-%d", rand.IntN(keys)), value)
	return err
}

func get(ctx context.Context, c *clientv3.Client) error {
	_, err := c.Get(ctx, fmt.Sprintf("key-%d", rand.IntN(keys)))
	return err
}

// load is what so many clients of a node saw in a while.
type load struct {
	took    []time.Duration // sorted
	failed  int
	elapsed time.Duration
}

func (l load) perSecond() float64 { return float64(len(l.took)) / l.elapsed.Seconds() }

// at is the p-th part of what was seen, in milliseconds.
func (l load) at(p float64) float64 {
	if len(l.took) == 0 {
		return 0
	}
	return milliseconds(l.took[int(p*float64(len(l.took)-1))])
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// run lets clients of a node make one call after the other. What they do in the warm-up does not count.
func run(ctx context.Context, n *node, clients int, warm, measured time.Duration, do call) (load, error) {
	var connections []*clientv3.Client
	defer func() {
		for _, c := range connections {
			c.Close()
		}
	}()
	for range (clients + perConnection - 1) / perConnection {
		c, err := n.dial()
		if err != nil {
			return load{}, err
		}
		connections = append(connections, c)
	}
	var (
		mu  sync.Mutex
		all load
		wg  sync.WaitGroup
	)
	begin := time.Now().Add(warm)
	end := begin.Add(measured)
	for i := range clients {
		wg.Go(func() {
			l := client(ctx, connections[i/perConnection], begin, end, do)
			mu.Lock()
			defer mu.Unlock()
			all.took, all.failed = append(all.took, l.took...), all.failed+l.failed
		})
	}
	wg.Wait()
	all.elapsed = measured
	slices.Sort(all.took)
	if len(all.took) == 0 {
		return all, fmt.Errorf("%s answered none of %d requests", n.name, all.failed)
	}
	return all, ctx.Err()
}

func client(ctx context.Context, c *clientv3.Client, begin, end time.Time, do call) (l load) {
	for ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(ctx, patience)
		sent := time.Now()
		err := do(ctx, c)
		done := time.Now()
		cancel()
		switch {
		case done.After(end):
			return l
		case done.Before(begin):
		case err != nil:
			l.failed++
		default:
			l.took = append(l.took, done.Sub(sent))
		}
	}
	return l
}
