package bench

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
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

// value is of the size that all rows have.
var value = text(valueSize)

// text are letters by chance, so that compressing them saves what base64 costs and no more.
func text(size int) string {
	b := make([]byte, size)
	_, _ = rand.Read(b) // it never fails
	return base64.StdEncoding.EncodeToString(b)[:size]
}

// call is one request of one client.
type call func(ctx context.Context, c *clientv3.Client) error

func put(ctx context.Context, c *clientv3.Client) error {
	_, err := c.Put(ctx, fmt.Sprintf("key-%d", mathrand.IntN(keys)), text(valueSize))
	return err
}

func get(ctx context.Context, c *clientv3.Client) error {
	_, err := c.Get(ctx, fmt.Sprintf("key-%d", mathrand.IntN(keys)))
	return err
}

// load is what so many clients of a node saw in a while.
type load struct {
	Took    []time.Duration // sorted
	Failed  int
	Elapsed time.Duration
}

func (l load) perSecond() float64 { return float64(len(l.Took)) / l.Elapsed.Seconds() }

// at is the p-th part of what was seen, in milliseconds.
func (l load) at(p float64) float64 {
	if len(l.Took) == 0 {
		return 0
	}
	return milliseconds(l.Took[int(p*float64(len(l.Took)-1))])
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
	l := drive(ctx, clients, warm, measured, func(ctx context.Context, client int) error {
		return do(ctx, connections[client/perConnection])
	})
	if len(l.Took) == 0 {
		return l, fmt.Errorf("%s answered none of %d requests", n.name, l.Failed)
	}
	return l, ctx.Err()
}

// drive has clients do one thing after the other, all at once.
func drive(ctx context.Context, clients int, warm, measured time.Duration, do func(ctx context.Context, client int) error) load {
	var (
		mu  sync.Mutex
		all load
		wg  sync.WaitGroup
	)
	begin := time.Now().Add(warm)
	end := begin.Add(measured)
	for i := range clients {
		wg.Go(func() {
			l := one(ctx, begin, end, func(ctx context.Context) error { return do(ctx, i) })
			mu.Lock()
			defer mu.Unlock()
			all.Took, all.Failed = append(all.Took, l.Took...), all.Failed+l.Failed
		})
	}
	wg.Wait()
	all.Elapsed = measured
	slices.Sort(all.Took)
	return all
}

// one is one client, from before begin until end.
func one(ctx context.Context, begin, end time.Time, do func(ctx context.Context) error) (l load) {
	for ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(ctx, patience)
		sent := time.Now()
		err := do(ctx)
		done := time.Now()
		cancel()
		switch {
		case done.After(end):
			return l
		case done.Before(begin):
		case err != nil:
			l.Failed++
		default:
			l.Took = append(l.Took, done.Sub(sent))
		}
	}
	return l
}
