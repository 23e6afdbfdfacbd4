package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	single = 1
	many   = 256
	// warm is what precedes every measurement.
	warm = time.Second
)

// Where a client is.
const (
	leading   = "the leader"
	following = "a follower"
)

// writes measures durable writes through the leader.
func (b *bed) writes(ctx context.Context) ([]Row, error) {
	trios, err := b.nearby(ctx)
	if err != nil {
		return nil, err
	}
	lone, err := inTurns(b, "writes of 1 client", trios, func(t *trio) ([]float64, error) {
		l, err := b.atLeader(ctx, t, single, put)
		return []float64{l.at(0.5), l.at(0.99)}, err
	})
	if err != nil {
		return nil, err
	}
	rows := []Row{
		newRow("durable write, 1 client, p50", inMilliseconds, lone[0][0], lone[0][1], atLeast(1)),
		newRow("durable write, 1 client, p99", inMilliseconds, lone[1][0], lone[1][1], atLeast(1)),
	}
	crowd, err := inTurns(b, "writes of 256 clients", trios, func(t *trio) ([]float64, error) {
		stop := b.profile(ctx, t)
		defer stop()
		l, err := b.atLeader(ctx, t, many, put)
		return []float64{l.perSecond(), l.at(0.99)}, err
	})
	if err != nil {
		return rows, err
	}
	rows = append(rows,
		newRow("durable writes, 256 clients, 256 B", aSecond, crowd[0][0], crowd[0][1], atLeast(2)),
		newRow("durable writes, 256 clients, 256 B, p99", inMilliseconds, crowd[1][0], crowd[1][1], nil),
	)
	for _, at := range []string{leading, following} {
		inside, err := inTurns(b, "writes of 256 inside "+at, trios, func(t *trio) ([]float64, error) {
			n, err := t.at(ctx, at)
			if err != nil {
				return nil, err
			}
			var l load
			if n.debug != "" {
				l, err = runInside(ctx, n, many, b.Measured)
			} else {
				l, err = run(ctx, n, many, warm, b.Measured, put)
			}
			return []float64{l.perSecond()}, err
		})
		if err != nil {
			return rows, err
		}
		rows = append(rows, newRow("writes, 256 inside our API server's process, "+at, aSecond, inside[0][0], inside[0][1], nil))
	}
	return rows, nil
}

// reads measures linearizable reads of one key each, at the leader and at a follower.
func (b *bed) reads(ctx context.Context) ([]Row, error) {
	trios, err := b.nearby(ctx)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, at := range []string{leading, following} {
		runs, err := inTurns(b, "reads of 256 clients at "+at, trios, func(t *trio) ([]float64, error) {
			n, err := t.at(ctx, at)
			if err != nil {
				return nil, err
			}
			l, err := run(ctx, n, many, warm, b.Measured, get)
			return []float64{l.perSecond()}, err
		})
		if err != nil {
			return rows, err
		}
		rows = append(rows, newRow(fmt.Sprintf("linearizable reads, 256 clients, at %s", at), aSecond, runs[0][0], runs[0][1], atLeast(1)))
	}
	return rows, nil
}

// distance measures commits when the members are a round trip apart and the client is beside one of them.
func (b *bed) distance(ctx context.Context) ([]Row, error) {
	trios, err := b.faraway(ctx)
	if err != nil {
		return nil, err
	}
	rtt := milliseconds(b.RoundTrip)
	var rows []Row
	for _, place := range []struct {
		at    string
		limit float64
	}{{leading, rtt*1.05 + 3}, {following, 2*rtt*1.05 + 3}} {
		runs, err := inTurns(b, fmt.Sprintf("commits at %s RTT at %s", b.RoundTrip, place.at), trios, func(t *trio) ([]float64, error) {
			n, err := t.at(ctx, place.at)
			if err != nil {
				return nil, err
			}
			l, err := run(ctx, n, single, warm, b.Measured, put)
			return []float64{l.at(0.5)}, err
		})
		if err != nil {
			return rows, err
		}
		name := fmt.Sprintf("commit at %s RTT, at %s, p50", b.RoundTrip, place.at)
		rows = append(rows, newRow(name, inMilliseconds, runs[0][0], runs[0][1], atMost(place.limit, inMilliseconds)))
	}
	return rows, nil
}

// atLeader runs clients against whoever leads.
func (b *bed) atLeader(ctx context.Context, t *trio, clients int, do call) (load, error) {
	leader, _, err := t.split(ctx)
	if err != nil {
		return load{}, err
	}
	l, err := run(ctx, leader, clients, warm, b.Measured, do)
	if err == nil && l.Failed > 0 {
		b.say("%s failed %d requests", t.name, l.Failed)
	}
	return l, err
}
