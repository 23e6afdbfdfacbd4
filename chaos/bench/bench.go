package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/plan"
)

// Options of a run. The zero value is not valid: start from DefaultOptions.
type Options struct {
	// Program is this program, which becomes a member of ours with the verb "member"; Etcd is the peer's. Hanse and APIServer
	// are what the rows of the API start.
	Program, Etcd, Hanse, APIServer string
	// Binaries are what the rows with real clusters start.
	Binaries testbed.Binaries
	// Dir is where the data lies while the run lasts: on the disk to be measured.
	Dir string
	// Rounds of ours and the peer in turn; each takes Measured.
	Rounds   int
	Measured time.Duration
	// Kills of the leader at each distance, Moves of the leadership.
	Kills, Moves int
	// RoundTrip of the distant rows.
	RoundTrip time.Duration
	// Members of the fleets that the rows of many members measure.
	Members []int
	// Clusters are those of the fleet that rollouts go over, simulated.
	Clusters int
	// EtcdElection gives etcd another election timeout than its default of a second; its heartbeat is a tenth of it.
	EtcdElection time.Duration
	// Profile, when set, is a folder for processor profiles of our leader.
	Profile string
	// Only, when set, are the groups to run, by name.
	Only []string
}

// DefaultOptions fit a run into twenty minutes on two cores.
func DefaultOptions() Options {
	return Options{Rounds: 3, Measured: 3 * time.Second, Kills: 50, Moves: 10, RoundTrip: 80 * time.Millisecond, Members: []int{100, 300}, Clusters: 100}
}

// group is some rows that are measured together.
type group struct {
	name, what string
	run        func(*bed, context.Context) ([]Row, error)
}

var groups = []group{
	{"distance", "commits over a distance", (*bed).distance},
	{"move", "planned changes of leader", (*bed).moves},
	{"kill", "leaders killed", (*bed).kills},
	{"write", "durable writes, three processes on loopback", (*bed).writes},
	{"read", "linearizable reads, three processes on loopback", (*bed).reads},
	{"idle", "what rest costs", (*bed).idle},
	{"scale", "fleets of many members", (*bed).scale},
	{"objects", "the fleet's API beside a kube-apiserver", (*bed).objects},
	{"apply", "hanse apply, until it is live in three real clusters", (*bed).applies},
	{"hundred", "hanse apply, to a hundred simulated clusters", (*bed).hundreds},
	{"bulk", "a thousand objects into one real cluster, beside kubectl", (*bed).bulk},
	{"drift", "what somebody changes by hand, put right", (*bed).drift},
	{"steady", "a thousand objects in one real cluster at rest", (*bed).steady},
	{"secrets", "sealed secrets in four real clusters", (*bed).sealed},
	{"group", "what is sealed for a group of a hundred, sealed again", (*bed).grouped},
	{"large", "one member of a fleet with a thousand bundles in a hundred clusters", (*bed).large},
}

// Groups are the names that Options.Only takes.
func Groups() []string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return names
}

// bed is a run under way.
type bed struct {
	Options
	talk  io.Writer
	begun time.Time
	// near and far are ours and etcd, in this order, without a distance and with one.
	near, far []*trio
	// fresh is ours without a distance, in its first life: with the timeout that fits any distance.
	fresh  *trio
	serial atomic.Int64 // of what must have a name of its own
}

// Run measures and returns the report. Rows appear on out as they are known; talk says where it is.
func Run(ctx context.Context, o Options, out, talk io.Writer) (Report, error) {
	r := Report{When: time.Now().UTC(), Peer: "etcd 3.7"}
	b := &bed{Options: o, talk: talk, begun: time.Now()}
	defer b.close()
	var err error
	if r.Machine, err = lookAround(o.Dir); err != nil {
		return r, err
	}
	fmt.Fprintf(out, "%s\n%s\n", r.Machine, heading)
	var errs []error
	for _, g := range groups {
		if len(o.Only) > 0 && !slices.Contains(o.Only, g.name) {
			continue
		}
		b.say("%s; load %.1f", g.what, loadAverage())
		rows, err := g.run(b, ctx)
		for _, row := range rows {
			fmt.Fprintln(out, row)
		}
		r.Rows = append(r.Rows, rows...)
		if err != nil {
			b.say("%s: %v", g.name, err)
			errs = append(errs, fmt.Errorf("%s: %w", g.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return r, errors.Join(errs...)
}

// say tells where the run is.
func (b *bed) say(format string, args ...any) {
	fmt.Fprintf(b.talk, "# %5s  %s\n", time.Since(b.begun).Round(time.Second), fmt.Sprintf(format, args...))
}

// nearby starts, or returns, the two trios without a distance.
func (b *bed) nearby(ctx context.Context) ([]*trio, error) {
	if b.near != nil {
		return b.near, nil
	}
	var err error
	b.near, err = b.open(ctx, "near", 0)
	return b.near, err
}

// faraway starts, or returns, the two trios with the distance.
func (b *bed) faraway(ctx context.Context) ([]*trio, error) {
	if b.far != nil {
		return b.far, nil
	}
	var err error
	b.far, err = b.open(ctx, "far", b.RoundTrip/2)
	return b.far, err
}

// ontoTheWire is what a round trip takes beside the distance.
const ontoTheWire = 2 * time.Millisecond

// timeoutAt is the election timeout to which the product's servers come when they are that far apart, and with which they
// start from then on.
func timeoutAt(distance time.Duration) time.Duration {
	return plan.Timeout([]plan.Figures{{RTT99: 2*distance + ontoTheWire}})
}

// unmeasured starts, or returns, the trio of ours that has not measured anything yet.
func (b *bed) unmeasured(ctx context.Context) (_ *trio, err error) {
	if b.fresh != nil {
		return b.fresh, nil
	}
	dir := filepath.Join(b.Dir, "fresh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if b.fresh, err = ours(dir, b.Program, 0, consensus.DefaultTiming().Lease); err != nil {
		return nil, err
	}
	return b.fresh, b.fresh.open(ctx)
}

func (b *bed) open(ctx context.Context, name string, distance time.Duration) (both []*trio, err error) {
	dir := filepath.Join(b.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	us, err := ours(dir, b.Program, distance, timeoutAt(distance))
	both = append(both, us)
	if err != nil {
		return both, err
	}
	peer, err := etcd(dir, b.Etcd, distance, b.EtcdElection)
	both = append(both, peer)
	if err != nil {
		return both, err
	}
	for _, t := range both {
		if err := t.open(ctx); err != nil {
			return both, err
		}
	}
	return both, nil
}

func (b *bed) close() {
	trios := slices.Concat(b.near, b.far)
	if b.fresh != nil {
		trios = append(trios, b.fresh)
	}
	for _, t := range trios {
		t.close()
	}
}

// inTurns measures ours and the peer one after the other, round by round, and the other way round in every second
// one. A measurement gives several figures; the result has, for each of them, ours and the peer's of all rounds.
func inTurns[T fmt.Stringer](b *bed, what string, both []T, measure func(T) ([]float64, error)) (runs [][2][]float64, err error) {
	for round := range b.Rounds {
		for turn := range both {
			which := (round + turn) % len(both)
			b.say("%s: %s, round %d of %d", what, both[which], round+1, b.Rounds)
			figures, err := measure(both[which])
			if err != nil {
				return runs, fmt.Errorf("%s: %w", both[which], err)
			}
			for len(runs) < len(figures) {
				runs = append(runs, [2][]float64{})
			}
			for i, f := range figures {
				runs[i][which] = append(runs[i][which], f)
			}
		}
	}
	return runs, nil
}
