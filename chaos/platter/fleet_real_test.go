package platter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	gosync "sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/atrest/atresttest"
	"github.com/hanse-fleet/hanse/chaos/platter"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// seedVariable repeats what was drawn: HANSE_SEED=… go test -run TestFleet ./chaos/platter
const seedVariable = "HANSE_SEED"

func seed(t *testing.T) uint64 {
	s := rand.Uint64() >> 1
	if given, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64); err == nil {
		s = given
	}
	t.Logf("%s=%d", seedVariable, s)
	return s
}

// fleet is three real nodes, each on a platter of its own, under a load of writes.
type fleet struct {
	*consensustest.Group
	t      *testing.T
	rng    *rand.Rand
	drives map[*consensustest.Member]*platter.Drive

	acked struct {
		gosync.Mutex
		values map[string]string
	}
}

func newFleet(t *testing.T, s uint64) *fleet {
	f := &fleet{
		Group: consensustest.NewGroup(t, 3, time.Millisecond), t: t, rng: rand.New(rand.NewPCG(s, 1)),
		drives: map[*consensustest.Member]*platter.Drive{},
	}
	f.acked.values = map[string]string{}
	for i, m := range f.Members {
		f.drives[m] = platter.Start(t, s+uint64(i))
	}
	key := atresttest.Key(t)
	f.Tune = func(m *consensustest.Member, c *consensus.Config) {
		c.Stores, c.Dir = nil, filepath.Join(f.drives[m].Dir, "raft")
		if m == f.Members[2] {
			c.Key = key // it encrypts what lies there
		}
		c.SnapshotThreshold, c.TrailingLogs = 64, 16
		c.Timing.Heartbeat, c.Timing.Election, c.Timing.Lease = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
		c.Timing.Commit, c.Timing.Stable, c.Timing.Drive = 50*time.Millisecond, 300*time.Millisecond, 100*time.Millisecond
		c.Timing.ControlRPC, c.Timing.DataRPC, c.Timing.DiskStall = 2*time.Second, 10*time.Second, 10*time.Second
		c.Timing.RetryMin, c.Timing.RetryMax, c.Timing.Snapshot = 20*time.Millisecond, 200*time.Millisecond, 50*time.Millisecond
		c.Logger = slog.New(slog.DiscardHandler)
	}
	t.Cleanup(f.Close)
	return f
}

// load writes through whoever runs, until the function that it returns is called.
func (f *fleet) load(round int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var writers gosync.WaitGroup
	for w := range 4 {
		rng := rand.New(rand.NewPCG(f.rng.Uint64(), 0))
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("/k/%d-%d-%d", round, w, n)
				f.write(ctx, f.Members[rng.IntN(len(f.Members))], key, string(make([]byte, rng.IntN(6000))))
			}
		})
	}
	return func() {
		cancel()
		writers.Wait()
	}
}

func (f *fleet) write(ctx context.Context, m *consensustest.Member, key, value string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := f.Put(ctx, m, key, value); err == nil {
		f.acked.Lock()
		defer f.acked.Unlock()
		f.acked.values[key] = value
	}
}

func (f *fleet) writes() int {
	f.acked.Lock()
	defer f.acked.Unlock()
	return len(f.acked.values)
}

// more waits until some more writes are acknowledged.
func (f *fleet) more(n int) {
	f.t.Helper()
	enough := f.writes() + n
	f.WaitFor("writes", func() bool { return f.writes() >= enough })
}

// powerCut takes the power from members at once, and gives it back. What a member had applied is in its own log then,
// whatever the others still have.
func (f *fleet) powerCut(members ...*consensustest.Member) {
	f.t.Helper()
	applied := map[*consensustest.Member]uint64{}
	for _, m := range members {
		m.Endpoint.Down()
		applied[m] = m.Store().View().Index()
		f.drives[m].Cut()
	}
	for _, m := range members {
		f.Kill(m)
		f.drives[m].Heal()
		for len(m.Fatal) > 0 {
			<-m.Fatal
		}
	}
	for _, m := range members {
		f.Start(m)
		if last := m.Node().Status().Last; last < applied[m] {
			f.t.Errorf("%s had applied entry %d, and its log ends at %d", m.ID, applied[m], last)
		}
	}
}

// broken waits until a member ended because of its disk.
func (f *fleet) broken(m *consensustest.Member, want error) {
	f.t.Helper()
	f.WaitFor(fmt.Sprintf("%s to end by %v", m.ID, want), func() bool { return len(m.Fatal) > 0 })
	if n := len(m.Fatal); n != 1 {
		f.t.Errorf("%s ended %d times", m.ID, n)
	}
}

// check wants every acknowledged write on every member.
func (f *fleet) check() {
	f.t.Helper()
	f.acked.Lock()
	defer f.acked.Unlock()
	for _, m := range f.Members {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := m.Node().Read(ctx); err != nil {
			f.t.Fatalf("read at %s: %v", m.ID, err)
		}
		for key, value := range f.acked.values {
			if got, ok := m.Get(key); !ok || got != value {
				f.t.Errorf("%s was acknowledged, and %s has lost it", key, m.ID)
			}
		}
	}
}

func TestFleet(t *testing.T) {
	faults := []struct {
		name string
		do   func(f *fleet, m *consensustest.Member)
	}{
		{"the power of one fails", func(f *fleet, m *consensustest.Member) { f.powerCut(m) }},
		{"the power of all fails", func(f *fleet, _ *consensustest.Member) { f.powerCut(f.Members...) }},
		{"a sync fails", func(f *fleet, m *consensustest.Member) {
			f.drives[m].Fail(platter.Sync, 1+f.rng.IntN(10), syscall.EIO)
			f.broken(m, syscall.EIO)
			f.powerCut(m)
		}},
		{"the disk is full", func(f *fleet, m *consensustest.Member) {
			f.drives[m].Fail(platter.Write, 1+f.rng.IntN(30), syscall.ENOSPC)
			f.broken(m, syscall.ENOSPC)
			f.powerCut(m)
		}},
		{"syncs are slow, and then the power fails", func(f *fleet, m *consensustest.Member) {
			f.drives[m].Delay(100 * time.Millisecond)
			f.more(5)
			f.powerCut(m)
		}},
	}
	t.Run("no acknowledged write is lost on real files, whatever befalls the disks", func(t *testing.T) {
		f := newFleet(t, seed(t))
		f.Found(3)
		for round := range 2 * len(faults) {
			fault, m := faults[round%len(faults)], f.Members[f.rng.IntN(len(f.Members))]
			before := f.writes()
			stop := f.load(round)
			f.more(10)
			fault.do(f, m)
			f.more(10)
			stop()
			f.check()
			t.Logf("round %d, %s (%s): %d writes", round, fault.name, m.ID, f.writes()-before)
		}
	})
}

func TestLyingDisk(t *testing.T) {
	t.Run("a member whose disk lied is refused what is damaged, and the others go on", func(t *testing.T) {
		s := seed(t)
		refused, whole := 0, 0
		for life := range 8 {
			f := newFleet(t, s+uint64(life)*10)
			f.Found(3)
			liar := f.Members[2]
			f.drives[liar].Lie()
			stop := f.load(life)
			f.more(20)
			liar.Endpoint.Down()
			f.drives[liar].Cut()
			f.Kill(liar)
			f.drives[liar].Heal()
			if f.refuses(liar) {
				refused++
			} else {
				whole++
			}
			f.more(10)
			stop()
			f.Close()
		}
		t.Logf("%d times refused, %d times whole, though maybe older", refused, whole)
		if refused == 0 {
			t.Error("too few to say anything")
		}
	})
}

// refuses says whether a member's disk is refused, and wants the refusal to be one of damage.
func (f *fleet) refuses(m *consensustest.Member) bool {
	f.t.Helper()
	err := f.TryStart(m)
	if damaged := new(consensus.DamagedError); err != nil && !errors.As(err, &damaged) {
		f.t.Errorf("refused for another reason: %v", err)
	}
	if err != nil {
		f.t.Log(err)
	}
	return err != nil
}
