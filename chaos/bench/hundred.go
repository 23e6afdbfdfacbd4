package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/chaos/drill"
)

const (
	// regions of the fleet, which are the waves of a rollout.
	regions = 3
	// toldTo and rolled are how many changes are followed: to all at once, and in waves.
	toldTo, rolled = 30, 10
)

// crowded is a fleet of a hundred members, each a process of its own beside a simulated kube-apiserver in this process.
type crowded struct {
	members []*drill.Daemon
	planes  []*pretender

	mu   sync.Mutex
	seen map[string][]time.Time // by version, when each cluster had it
	last string
	all  chan struct{}
}

func (c *crowded) close() {
	for _, m := range c.members {
		_ = m.Kill()
	}
	for _, p := range c.planes {
		p.close()
	}
}

// saw is called when the settings of a cluster are written.
func (c *crowded) saw(cluster int, u *unstructured.Unstructured) {
	version, _, _ := unstructured.NestedString(u.Object, "data", "version")
	if u.GetName() != "settings" || version == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.seen[version]
	if at == nil {
		at = make([]time.Time, len(c.members))
		c.seen[version] = at
	}
	if at[cluster].IsZero() {
		at[cluster] = time.Now()
	}
	for _, t := range at {
		if t.IsZero() {
			return
		}
	}
	if version == c.last {
		close(c.all)
		c.last = ""
	}
}

// hundreds measures changes to a hundred clusters, to all at once and in waves, from the start of the command to the object in the last of them.
func (b *bed) hundreds(ctx context.Context) (rows []Row, err error) {
	c, err := b.crowd(ctx)
	if c != nil {
		defer c.close()
	}
	if err != nil {
		return nil, err
	}
	b.say("%d changes to all at once", toldTo)
	before, err := c.cpu()
	if err != nil {
		return nil, err
	}
	took, err := c.changes(ctx, unfollowed+toldTo, func([]time.Time) error { return nil })
	if err != nil {
		return nil, err
	}
	after, err := c.cpu()
	if err != nil {
		return nil, err
	}
	rows = percentiles(fmt.Sprintf("hanse apply → live in %d simulated clusters", b.Clusters), took[unfollowed:], nil, atMost(500, inMilliseconds))
	rows = append(rows, after.since(before).rows(b.Clusters)...)
	fleet := "apiVersion: fleet.hanse.dev/v1alpha1\nkind: Fleet\nmetadata: {name: bench}\nspec: {rollout: {maxDomains: 1, soak: 0s}}\n"
	if _, err := typed(ctx, c.members[0].Person(), fleet, "apply", "--force-conflicts", "-f", "-"); err != nil {
		return rows, err
	}
	b.say("%d rollouts in %d waves", rolled, regions)
	if took, err = c.changes(ctx, rolled, inWaves); err != nil {
		return rows, err
	}
	return append(rows, newRow(fmt.Sprintf("a rollout in 3 waves over %d clusters, no soak, p90", b.Clusters), inMilliseconds, []float64{sorted(took).at(0.9)}, nil, atMost(10_000, inMilliseconds))), nil
}

// spent is the processor time of each member.
type spent []float64

// cpu has, behind the members, this process, in which the clusters are simulated.
func (c *crowded) cpu() (spent, error) {
	all, err := spentBy(c.members...)
	if err != nil {
		return nil, err
	}
	own, err := cpuSeconds(os.Getpid())
	return append(all, own), err
}

// spentBy is the processor time of members that run.
func spentBy(members ...*drill.Daemon) (all spent, err error) {
	for _, m := range members {
		one, err := cpuSeconds(m.Pid())
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s spent) since(before spent) spent {
	s = slices.Clone(s)
	for i := range s {
		s[i] -= before[i]
	}
	return s
}

// beyond is what is more than so many times what was spent before.
func (s spent) beyond(before spent, times float64) spent {
	s = slices.Clone(s)
	for i := range s {
		s[i] -= before[i] * times
	}
	return s
}

func (s spent) sum() (sum float64) {
	for _, one := range s {
		sum += one
	}
	return sum
}

// rows are what a change takes. The first member founded the fleet, and leads it.
func (s spent) rows(clusters int) []Row {
	last := len(s) - 1
	sum := s[:last].sum()
	row := func(name string, seconds float64) Row {
		return newRow(name, coreSeconds, []float64{seconds / (unfollowed + toldTo)}, nil, nil)
	}
	return []Row{
		row(fmt.Sprintf("processor time of the %d members, a change", clusters), sum),
		row("of that, who founded the fleet", s[0]),
		row("the simulated clusters beside them, a change", s[last]),
	}
}

// inWaves fails when two regions had been in change at once.
func inWaves(at []time.Time) error {
	var begun, ended [regions]time.Time
	for i, t := range at {
		r := i % regions
		if begun[r].IsZero() || t.Before(begun[r]) {
			begun[r] = t
		}
		if t.After(ended[r]) {
			ended[r] = t
		}
	}
	for i := range regions {
		for j := range i {
			if begun[i].Before(ended[j]) && begun[j].Before(ended[i]) {
				return fmt.Errorf("regions %d and %d were in change at once", i, j)
			}
		}
	}
	return nil
}

// changes makes one change after the other, each with --wait, and returns how long each took to the last cluster.
func (c *crowded) changes(ctx context.Context, n int, right func([]time.Time) error) (took []time.Duration, err error) {
	for range n {
		c.mu.Lock()
		version := strconv.Itoa(len(c.seen) + 1)
		c.last, c.all = version, make(chan struct{})
		c.mu.Unlock()
		begun := time.Now()
		if _, err := typed(ctx, c.members[0].Person(), string(settings(version)), "apply", "--bundle", spread, "--to", "all", "-f", "-", "--wait"); err != nil {
			return nil, err
		}
		select {
		case <-c.all:
		case <-time.After(seenIn):
			return nil, errUnseen
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		c.mu.Lock()
		at, last := c.seen[version], begun
		c.mu.Unlock()
		for _, t := range at {
			if t.After(last) {
				last = t
			}
		}
		if err := right(at); err != nil {
			return nil, err
		}
		took = append(took, last.Sub(begun))
	}
	return took, nil
}

// crowd starts the hundred, and waits until the first reaches all.
func (b *bed) crowd(ctx context.Context) (*crowded, error) {
	dir := b.folder("hundred")
	c := &crowded{seen: map[string][]time.Time{}}
	var err error
	if c.members, err = b.processes(dir, b.Clusters); err != nil {
		return c, err
	}
	for i, m := range c.members {
		p, err := pretend(func(u *unstructured.Unstructured) { c.saw(i, u) })
		if err != nil {
			return c, err
		}
		c.planes = append(c.planes, p)
		if err := os.WriteFile(filepath.Join(dir, m.Cluster+".kubeconfig"), []byte(p.kubeconfig()), 0o600); err != nil {
			return c, err
		}
	}
	return c, b.gather(ctx, c.members, func(m *drill.Daemon) error { return begin(dir, m) })
}

// processes are so many members, in regions in turn. Nothing of them is made or started yet.
func (b *bed) processes(dir string, n int) (all []*drill.Daemon, err error) {
	taken := map[string]bool{}
	for len(all) < n {
		i := len(all)
		m, err := drill.NewDaemon(b.Hanse, dir, fmt.Sprintf("c%d", i+1), fmt.Sprintf("region-%d", i%regions))
		if err != nil {
			return nil, err
		}
		if taken[m.Members()] {
			continue
		}
		taken[m.Members()] = true
		all = append(all, m)
	}
	return all, nil
}

// gather has the first of some members found a fleet and all others join it, starts them, and waits until the first reaches all.
func (b *bed) gather(ctx context.Context, members []*drill.Daemon, begin func(*drill.Daemon) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*gathered)
	defer cancel()
	b.say("%d members join", len(members))
	first := members[0]
	if err := enrol(ctx, first, nil); err != nil {
		return err
	}
	if err := begin(first); err != nil {
		return err
	}
	if err := until(ctx, func() error { _, err := first.Status(ctx); return err }); err != nil {
		return err
	}
	joining, jctx := errgroup.WithContext(ctx)
	joining.SetLimit(8)
	for _, m := range members[1:] {
		joining.Go(func() error { return enrol(jctx, m, first) })
	}
	if err := joining.Wait(); err != nil {
		return err
	}
	b.say("%d members start", len(members))
	for _, m := range members[1:] {
		if err := begin(m); err != nil {
			return err
		}
	}
	return until(ctx, func() error {
		if err := rest(ctx, time.Second); err != nil {
			return err
		}
		return reaches(ctx, first, len(members))
	})
}

// begin starts a member without what it shows of the fleet in its cluster: a simulated one has nobody who would look.
func begin(dir string, m *drill.Daemon) error {
	return m.Start("--kubeconfig", filepath.Join(dir, m.Cluster+".kubeconfig"), "--aggregate=false", "--project=false", "--cluster-api=false")
}

// reaches fails unless the member reaches so many, and all that may vote do.
func reaches(ctx context.Context, m *drill.Daemon, members int) error {
	status, err := m.Status(ctx)
	if err != nil {
		return err
	}
	reached := 0
	for _, c := range status.Clusters {
		if c.Reachable {
			reached++
		}
	}
	if reached != members || status.Quorum.Voters != votersOf(members) || !status.Quorum.Have {
		return fmt.Errorf("%d of %d are reached, %d vote", reached, members, status.Quorum.Voters)
	}
	return nil
}
