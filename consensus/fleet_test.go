package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// seedVariable repeats a run: HANSE_SEED=… go test -run …
const seedVariable = "HANSE_SEED"

func seed(t *testing.T) uint64 {
	s := rand.Uint64() >> 1
	if given, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64); err == nil {
		s = given
	}
	t.Logf("%s=%d", seedVariable, s)
	return s
}

// registerOp is one operation on one key: a write of a value, or a read.
type registerOp struct {
	write bool
	key   string
	value string
}

// registers is the model of a set of keys, each on its own, for porcupine.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			k := op.Input.(registerOp).key
			byKey[k] = append(byKey[k], op)
		}
		var out [][]porcupine.Operation
		for _, ops := range byKey {
			out = append(out, ops)
		}
		return out
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if op := input.(registerOp); op.write {
			return true, op.value
		}
		return output.(string) == state.(string), state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " ", output) },
}

// recorder collects what clients did. Its clock counts events, since virtual time stands still between them.
type recorder struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (r *recorder) add(op porcupine.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// client writes and reads through random members until ctx ends.
type client struct {
	id  int
	rng *rand.Rand
	g   *consensustest.Group
	rec *recorder
}

func (c *client) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		m := c.g.Members[c.rng.IntN(len(c.g.Members))]
		key := fmt.Sprintf("/k/%d", c.rng.IntN(4))
		if c.rng.IntN(2) == 0 {
			c.write(m, key, fmt.Sprintf("c%d-%d", c.id, n))
		} else {
			c.read(m, key)
		}
		time.Sleep(time.Duration(c.rng.IntN(40)) * time.Millisecond)
	}
}

func (c *client) write(m *consensustest.Member, key, value string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	call := c.rec.clock.Add(1)
	_, err := m.Node().Propose(ctx, put(key, value))
	end := c.rec.clock.Add(1)
	switch {
	case err == nil:
	case errors.Is(err, consensus.ErrNoQuorum), errors.Is(err, consensus.ErrClosed):
		return // surely not written
	default:
		end = math.MaxInt64 // may take effect at any time
	}
	c.rec.add(porcupine.Operation{ClientId: c.id, Input: registerOp{true, key, value}, Call: call, Output: "", Return: end})
}

func (c *client) read(m *consensustest.Member, key string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	call := c.rec.clock.Add(1)
	node, state := m.Pair()
	if _, err := node.Read(ctx); err != nil {
		return
	}
	kv, _ := state.View().Get(key)
	value := string(kv.Value)
	c.rec.add(porcupine.Operation{
		ClientId: c.id, Input: registerOp{false, key, ""}, Call: call, Output: value, Return: c.rec.clock.Add(1),
	})
}

func (r *recorder) check(t *testing.T) {
	t.Helper()
	reads, writes := 0, 0
	for _, op := range r.ops {
		if op.Input.(registerOp).write {
			writes++
		} else {
			reads++
		}
	}
	t.Logf("%d writes and %d reads", writes, reads)
	if writes < 50 || reads < 50 {
		t.Errorf("too few operations to say anything")
	}
	if result := porcupine.CheckOperationsTimeout(registers, r.ops, 20*time.Second); result != porcupine.Ok {
		t.Errorf("history is not linearizable: %s", result)
	}
}

// load runs clients until stop is called.
func load(g *consensustest.Group, s uint64, clients int) (rec *recorder, stop func()) {
	rec = &recorder{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range clients {
		c := &client{id: i, rng: rand.New(rand.NewPCG(s, uint64(i))), g: g, rec: rec}
		wg.Go(func() { c.run(ctx) })
	}
	return rec, func() { cancel(); wg.Wait() }
}

func TestFleetOfFive(t *testing.T) {
	t.Run("a leader partitioned away under load loses no acknowledged write and serves no stale read", func(t *testing.T) {
		s := seed(t)
		start := time.Now()
		var rec *recorder
		bubble(t, 5, 20*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = fiveVoters
			g.Found(5)
			var stop func()
			rec, stop = load(g, s, 8)
			rng := rand.New(rand.NewPCG(s, 99))
			for range 3 {
				time.Sleep(time.Duration(2000+rng.IntN(2000)) * time.Millisecond)
				old := g.Leader()
				g.Net.Isolate(old.ID, true)
				g.Leader(old)
				time.Sleep(time.Duration(500+rng.IntN(4000)) * time.Millisecond)
				g.Net.Isolate(old.ID, false)
			}
			time.Sleep(3 * time.Second)
			stop()
			converge(g)
		})
		rec.check(t)
		t.Logf("in %s", time.Since(start).Round(time.Millisecond))
	})

	t.Run("random partitions, transfers and restarts lose no acknowledged write and serve no stale read", func(t *testing.T) {
		s := seed(t)
		var rec *recorder
		bubble(t, 5, 15*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = fiveVoters
			g.Found(5)
			var stop func()
			rec, stop = load(g, s, 6)
			rng := rand.New(rand.NewPCG(s, 7))
			for range 12 {
				time.Sleep(time.Duration(200+rng.IntN(2500)) * time.Millisecond)
				disturb(g, rng)
			}
			for _, m := range g.Members {
				g.Net.Isolate(m.ID, false)
			}
			time.Sleep(3 * time.Second)
			stop()
			converge(g)
		})
		rec.check(t)
	})
}

func fiveVoters(_ *consensustest.Member, c *consensus.Config) {
	c.Choose = consensus.EligibleVoters(5)
	c.SnapshotThreshold, c.TrailingLogs = 64, 32
	c.Timing = consensus.DefaultTiming()
	c.Timing.Snapshot = 2 * time.Second
}

// disturb does one random thing to the group.
func disturb(g *consensustest.Group, rng *rand.Rand) {
	m := g.Members[rng.IntN(len(g.Members))]
	o := g.Members[rng.IntN(len(g.Members))]
	switch rng.IntN(6) {
	case 0:
		g.Net.Isolate(m.ID, true)
		time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
		g.Net.Isolate(m.ID, false)
	case 1:
		if m != o {
			g.Net.Cut(m.ID, o.ID, true)
		}
	case 2:
		g.Net.Cut(m.ID, o.ID, false)
	case 5:
		g.Kill(m)
		time.Sleep(time.Duration(rng.IntN(6000)) * time.Millisecond)
		g.Start(m)
	case 3:
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		m.Node().Transfer(ctx) // fails unless m leads
	case 4:
		for _, m := range g.Members {
			g.Net.Isolate(m.ID, false)
		}
	}
}

// converge waits until all members have the same revision.
func converge(g *consensustest.Group) {
	g.T.Helper()
	g.WaitFor("all members to have the same revision", func() bool {
		first := g.Members[0].Store().View().Revision()
		for _, m := range g.Members {
			if m.Store().View().Revision() != first {
				return false
			}
		}
		return true
	})
}
