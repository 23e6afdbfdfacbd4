package drill

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	// replaced is how long a drill waits until the voters of a lost region have been judged dead and replaced. The
	// product promises less, 30 s after the judgement: chaos/sim holds it to that in virtual time, which no other work
	// of the machine can stretch. Here the members share few processors with whole control planes, so how long it took
	// is printed, and not judged.
	replaced = 3 * time.Minute
	// goesOn is how long a drill waits until writes go on when a leader's region has died; how long it took is printed.
	goesOn = 2 * time.Minute
)

// seat is a member, with a cluster or without, as the drills of dying regions see it.
type seat struct {
	name, region, socket string
	status               func(context.Context) (v1alpha1.FleetStatus, error)
}

func (s seat) server() string     { return "unix://" + s.socket }
func (s seat) rest() *rest.Config { return restOf(s.socket) }

// realm is a fleet whose regions are killed and healed.
type realm struct {
	hanse string
	seats []seat
	down  func(region string) error
	up    func(ctx context.Context, region string) error

	mu    sync.Mutex
	dead  []string // regions that were killed and not healed; only the drill itself writes it
	turns int      // how often that changed
}

func (r *realm) seat(t testing.TB, name string) seat {
	t.Helper()
	for _, s := range r.seats {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no member of a cluster %s", name)
	return seat{}
}

// tell types a command at a member, with an input.
func (r *realm) tell(t testing.TB, name string, input []byte, args ...string) Said {
	t.Helper()
	return tell(t, Person{Hanse: r.hanse, Server: r.seat(t, name).server()}, input, args...)
}

// must is tell, of a command that ends well.
func (r *realm) must(t testing.TB, name string, input []byte, args ...string) Said {
	t.Helper()
	return ended(t, 0, r.tell(t, name, input, args...), args)
}

func (r *realm) status(t testing.TB, name string) v1alpha1.FleetStatus {
	t.Helper()
	s, err := r.seat(t, name).status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *realm) kill(t testing.TB, region string) {
	t.Helper()
	r.changed(func() { r.dead = append(slices.Clone(r.dead), region) })
	if err := r.down(region); err != nil {
		t.Fatal(err)
	}
	r.changed(func() {}) // from now on what a survivor says is held against it
}

func (r *realm) heal(t testing.TB, region string) {
	t.Helper()
	r.changed(func() { r.dead = slices.DeleteFunc(slices.Clone(r.dead), func(d string) bool { return d == region }) })
	if err := r.up(t.Context(), region); err != nil {
		t.Fatal(err)
	}
}

func (r *realm) changed(dead func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dead()
	r.turns++
}

// healAll heals what is dead.
func (r *realm) healAll(t testing.TB) {
	t.Helper()
	for _, region := range slices.Clone(r.dead) {
		r.heal(t, region)
	}
}

// lost says whether a member is in a region that is dead.
func (r *realm) lost(t testing.TB, name string) bool {
	t.Helper()
	return slices.Contains(r.dead, r.seat(t, name).region)
}

// survivors are the members that live.
func (r *realm) survivors() []seat {
	return slices.DeleteFunc(slices.Clone(r.seats), func(s seat) bool { return slices.Contains(r.dead, s.region) })
}

func (r *realm) survivor(t testing.TB) string {
	t.Helper()
	living := r.survivors()
	if len(living) == 0 {
		t.Fatal("no region is left")
	}
	return living[0].name
}

// loseLeadersRegion kills the region of the leader, which status must have said can be lost, and returns its name.
func (r *realm) loseLeadersRegion(t *testing.T, l *load) string {
	t.Helper()
	s := r.status(t, r.survivor(t))
	region := r.seat(t, s.Leader).region
	if !slices.Contains(s.RegionsYouCanLose, region) {
		t.Fatalf("status says that %v can be lost, and not %s", s.RegionsYouCanLose, region)
	}
	t.Logf("region %s dies, with the leader %s", region, s.Leader)
	r.kill(t, region)
	l.goesOn(t, r)
	return region
}

// settle waits until every survivor says that so many vote, all of them alive, and so many regions can be lost; and
// checks what status says against the voters that it shows.
func (r *realm) settle(t *testing.T, what string, voters, canLose int) v1alpha1.FleetStatus {
	t.Helper()
	var last v1alpha1.FleetStatus
	var judged time.Duration
	begun := time.Now()
	for _, m := range r.survivors() {
		until(t, replaced, m.sees(func(s v1alpha1.FleetStatus) error {
			last = s
			if judged == 0 && s.VoterChange != nil {
				judged = time.Since(begun)
			}
			return settled(s, r.dead, voters, canLose)
		}))
	}
	t.Logf("%s after %s, begun after %s: voters %v, can lose %v", what, round(time.Since(begun)), round(judged), votersByRegion(last), last.RegionsYouCanLose)
	return last
}

// sees asks a member for its status, and checks that.
func (s seat) sees(check func(v1alpha1.FleetStatus) error) func(context.Context) error {
	return func(ctx context.Context) error {
		status, err := s.status(ctx)
		if err != nil {
			return err
		}
		return check(status)
	}
}

func settled(s v1alpha1.FleetStatus, dead []string, voters, canLose int) error {
	by, total := votersByRegion(s), 0
	for region, n := range by {
		total += n
		if slices.Contains(dead, region) {
			return fmt.Errorf("%s sees voters in %s, which is dead: %v", s.Member, region, by)
		}
	}
	if total != voters || s.Quorum.Voters != voters || s.Quorum.Reached != voters {
		return fmt.Errorf("%s sees %d voters %v, and of %d reaches %d", s.Member, total, by, s.Quorum.Voters, s.Quorum.Reached)
	}
	if len(s.RegionsYouCanLose) != canLose {
		return fmt.Errorf("%s says that %v can be lost, of voters %v", s.Member, s.RegionsYouCanLose, by)
	}
	return truthful(s, dead)
}

// truthful compares what a status says can be lost with what its voters, and which regions are dead, come to.
func truthful(s v1alpha1.FleetStatus, dead []string) error {
	if can := losable(s, dead); !slices.Equal(can, s.RegionsYouCanLose) {
		return fmt.Errorf("%s says that %v can be lost; with voters %v and %v dead it is %v", s.Member, s.RegionsYouCanLose, votersByRegion(s), dead, can)
	}
	return nil
}

// losable are the living regions without any one of which a majority of the voters would still live.
func losable(s v1alpha1.FleetStatus, dead []string) []string {
	by := votersByRegion(s)
	total, able := 0, 0
	for region, n := range by {
		total += n
		if !slices.Contains(dead, region) {
			able += n
		}
	}
	var can []string
	for _, c := range s.Clusters {
		if !slices.Contains(dead, c.Region) && 2*(able-by[c.Region]) > total {
			can = append(can, c.Region)
		}
	}
	slices.Sort(can)
	return slices.Compact(can)
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
