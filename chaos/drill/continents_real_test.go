package drill

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	// replaced is how long it may take until the voters of a lost region have been judged dead and replaced: the
	// product's promise is 30 s, and here eight control planes share the processors with it.
	replaced = 90 * time.Second
	// goesOn is how long writes may pause when a leader's region dies.
	goesOn = 30 * time.Second
)

// Two regions die one after the other, each with the leader in it, and a cluster of a third; at each moment, status
// says which regions could be lost, and what it says is tried.
func TestTheLeadersRegionDiesAndThenTheNextLeadersRegion(t *testing.T) {
	f := newField(t, 4, 2)
	f.must(t, "fra", []byte("apiVersion: fleet.hanse.dev/v1alpha1\nkind: Fleet\nmetadata: {name: acme}\nspec: {voters: 5}\n"), "apply", "--force-conflicts", "-f", "-")
	f.must(t, "iad", shop("1"), applyShop("--wait")...)
	f.settle(t, "five vote, and any region can be lost", 5, 4)
	load := f.writeThrough(t, "fra", "iad", "sin", "gru")

	first := f.loseLeadersRegion(t, load)
	f.settle(t, "the voters of "+first+" are replaced", 5, 3)
	second := f.loseLeadersRegion(t, load)
	s := f.settle(t, "the voters of "+second+" are replaced as far as can be", 3, 1)

	t.Run("the region that status says can be lost can be", func(t *testing.T) {
		third := s.RegionsYouCanLose[0]
		f.kill(t, third)
		load.goesOn(t, f)
		until(t, replaced, f.sees(f.survivor(t), func(s v1alpha1.FleetStatus) error {
			if len(s.RegionsYouCanLose) > 0 {
				return fmt.Errorf("with one region left, status says that %v can be lost", s.RegionsYouCanLose)
			}
			return nil
		}))
	})
	t.Run("all return, and nothing that was acknowledged is lost", func(t *testing.T) {
		for _, region := range slices.Clone(f.dead) {
			f.heal(t, region)
		}
		f.settle(t, "five vote, and any region can be lost", 5, 4)
		load.stop()
		f.must(t, "scl", shop("2"), applyShop("--wait")...)
		for _, c := range f.bed.Clusters() {
			until(t, time.Minute, settings(f.kubernetes(t, c.Name()), "shop", "settings", "version", "2"))
			for _, w := range load.writers {
				if lost := w.lost(t, restOf(c.Socket())); len(lost) > 0 {
					t.Errorf("%s: %d of %d writes that %s acknowledged are not there: %q", c.Name(), len(lost), len(w.written()), w.name, lost)
				}
			}
		}
	})
}

// load is people who write through several members at once.
type load struct {
	writers []*writer
	stop    func()
}

func (f *field) writeThrough(t *testing.T, clusters ...string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	l := &load{stop: sync.OnceFunc(func() { cancel(); group.Wait() })}
	t.Cleanup(l.stop)
	for _, name := range clusters {
		w, err := newWriter(name, restOf(f.cluster(t, name).Socket()), 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		l.writers = append(l.writers, w)
		group.Go(func() { w.run(ctx) })
	}
	return l
}

// goesOn waits until every survivor's writer has written something that it had not yet when this was called.
func (l *load) goesOn(t *testing.T, f *field) {
	t.Helper()
	begun := time.Now()
	for _, w := range l.writers {
		if f.lost(t, w.name) {
			continue
		}
		had := len(w.written())
		until(t, goesOn, func(context.Context) error {
			if len(w.written()) == had {
				return fmt.Errorf("no write through %s: %w", w.name, w.lastError())
			}
			return nil
		})
	}
	t.Logf("writes go on through every survivor after %s", round(time.Since(begun)))
}

// loseLeadersRegion kills the region of the leader, which status must have said can be lost, and returns its name.
func (f *field) loseLeadersRegion(t *testing.T, l *load) string {
	t.Helper()
	s := f.status(t, f.survivor(t))
	region := f.cluster(t, s.Leader).Region()
	if !slices.Contains(s.RegionsYouCanLose, region) {
		t.Fatalf("status says that %v can be lost, and not %s", s.RegionsYouCanLose, region)
	}
	t.Logf("region %s dies, with the leader %s", region, s.Leader)
	f.kill(t, region)
	l.goesOn(t, f)
	return region
}

func (f *field) kill(t *testing.T, region string) {
	t.Helper()
	if err := f.bed.Kill(region); err != nil {
		t.Fatal(err)
	}
	f.dead = append(f.dead, region)
}

func (f *field) heal(t *testing.T, region string) {
	t.Helper()
	if err := f.bed.Heal(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	f.dead = slices.DeleteFunc(f.dead, func(r string) bool { return r == region })
}

// lost says whether a cluster is in a region that is dead.
func (f *field) lost(t *testing.T, cluster string) bool {
	t.Helper()
	return slices.Contains(f.dead, f.cluster(t, cluster).Region())
}

// survivor is a cluster that lives.
func (f *field) survivor(t *testing.T) string {
	t.Helper()
	for _, c := range f.bed.Clusters() {
		if !f.lost(t, c.Name()) {
			return c.Name()
		}
	}
	t.Fatal("no region is left")
	return ""
}

// settle waits until every survivor says that so many vote, all of them alive, and so many regions can be lost; and
// checks what status says against the voters that it shows.
func (f *field) settle(t *testing.T, what string, voters, canLose int) v1alpha1.FleetStatus {
	t.Helper()
	var last v1alpha1.FleetStatus
	begun := time.Now()
	for _, c := range f.bed.Clusters() {
		if f.lost(t, c.Name()) {
			continue
		}
		until(t, replaced, f.sees(c.Name(), func(s v1alpha1.FleetStatus) error {
			last = s
			return f.settled(s, voters, canLose)
		}))
	}
	t.Logf("%s after %s: voters %v, can lose %v", what, round(time.Since(begun)), votersByRegion(last), last.RegionsYouCanLose)
	return last
}

func (f *field) sees(cluster string, check func(v1alpha1.FleetStatus) error) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := f.bed.Cluster(cluster)
		if err != nil {
			return err
		}
		s, err := c.FleetStatus(ctx)
		if err != nil {
			return err
		}
		return check(s)
	}
}

func (f *field) settled(s v1alpha1.FleetStatus, voters, canLose int) error {
	by := votersByRegion(s)
	total, losable := 0, 0
	for _, n := range by {
		total += n
	}
	for region, n := range by {
		if slices.Contains(f.dead, region) {
			return fmt.Errorf("%s sees voters in %s, which is dead: %v", s.Member, region, by)
		}
		if n <= (total-1)/2 {
			losable++
		}
	}
	regions := len(f.regions()) - len(f.dead)
	losable += regions - len(by) // a region without voters can always be lost
	switch {
	case total != voters || s.Quorum.Voters != voters || s.Quorum.Reached != voters:
		return fmt.Errorf("%s sees %d voters %v, and of %d reaches %d", s.Member, total, by, s.Quorum.Voters, s.Quorum.Reached)
	case losable != canLose || len(s.RegionsYouCanLose) != canLose:
		return fmt.Errorf("%s sees voters %v and says that %v can be lost", s.Member, by, s.RegionsYouCanLose)
	}
	return nil
}

func votersByRegion(s v1alpha1.FleetStatus) map[string]int {
	by := map[string]int{}
	for _, c := range s.Clusters {
		if c.Voter {
			by[c.Region]++
		}
	}
	return by
}

func (f *field) regions() []string {
	var all []string
	for _, c := range f.bed.Clusters() {
		all = append(all, c.Region())
	}
	slices.Sort(all)
	return slices.Compact(all)
}
