package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/chaos/check"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

// Outcome is what came of a run.
type Outcome struct {
	// Faults are what is wrong; none is a clean run.
	Faults []Fault
	// Ops that clients made, and Revisions that the fleet went through.
	Ops, Revisions int
	// Undecided histories took too long to judge.
	Undecided bool
	// Virtual time that the fleet lived, and Wall time that it took.
	Virtual, Wall time.Duration
}

// patience with one history.
const patience = 20 * time.Second

// Play runs a schedule, with a bug put back unless it is nil, in a bubble of its own.
func Play(t *testing.T, s Schedule, bug *Bug) (out Outcome) {
	begun := time.Now()
	p := &player{s: s, bug: bug, log: check.NewLog(), audit: newAudit(), actors: map[string]*actor{}}
	left := bubble(t, func(t *testing.T) {
		p.judge, p.ending = &judge{TB: t, begun: time.Now()}, make(chan struct{})
		done := make(chan struct{})
		go func() { // of its own, because a run that fails ends its goroutine
			defer close(done)
			p.run()
		}()
		<-done
		out.Virtual = time.Since(p.begun)
	})
	if left && !p.crashes.Load() {
		p.wrong("stop", "goroutines of the fleet remain")
	}
	out.Ops, out.Revisions = len(p.history), p.log.Len()
	out.Faults = p.verdict()
	p.conclude(&out)
	out.Wall = time.Since(begun)
	return out
}

// bubble runs f in virtual time, and says whether goroutines were left when it had ended. A member whose disk has failed
// leaves some that wait for raft, which answers nobody any more: its process would be no more, either.
func bubble(t *testing.T, f func(*testing.T)) (left bool) {
	defer func() {
		switch cause := recover(); {
		case cause == nil:
		case strings.Contains(fmt.Sprint(cause), "blocked goroutines remain"):
			left = true
		default:
			panic(cause)
		}
	}()
	virtual.Test(t, f)
	return false
}

// player plays one schedule.
type player struct {
	*judge
	s     Schedule
	bug   *Bug
	fleet *Fleet
	audit *audit

	clock atomic.Int64 // orders the history: virtual time stands still between operations
	// lostOne says that a disk was lost in this run, crashes that a member lost its power or its disk, succeeded that a new
	// epoch began.
	lostOne, crashes, succeeded atomic.Bool

	mu      sync.Mutex
	rng     *rand.Rand
	actors  map[string]*actor
	order   []*actor
	history []check.Op
	denied  []check.Op // writes that were surely not made
	log     *check.Log

	waiting []string // clusters that have no member in the new epoch yet

	ending    chan struct{} // closed when what happens must end
	work      sync.WaitGroup
	gathering sync.WaitGroup // of clusters in a new epoch
}

// actor is a member, with what the run knows of it.
type actor struct {
	*Member
	never   bool // it never votes
	life    turn // held by who starts or stops it
	disk    *consensustest.Disk
	watcher *check.Watcher
	// crashed says that its disk has failed it, or its power: what it says of its disk then is no fault.
	crashed atomic.Bool
	// gone members were removed, and lost ones have lost their log: neither starts again.
	gone, lost atomic.Bool
	retiring   atomic.Bool  // its removal has begun
	failing    atomic.Bool  // its disk is made to fail
	lied       atomic.Bool  // its disk has lied: it may find at any time that something is missing
	begun      atomic.Bool  // it has started once
	servers    string       // of raft's configuration when it was stopped
	skew       atomic.Int64 // of its wall clock, in nanoseconds
}

// turn is a lock that may be held over time: in a bubble, time stands still while anybody waits for a sync.Mutex.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// latencies of a packet, one way, between regions.
var latencies = map[[2]string]time.Duration{
	{"eu", "us"}: 40 * time.Millisecond, {"us", "ap"}: 70 * time.Millisecond, {"eu", "ap"}: 90 * time.Millisecond,
}

const (
	sameRegion = 3 * time.Millisecond
	farAway    = 80 * time.Millisecond
)

// latency is by region.
func (p *player) latency(from, to string) time.Duration {
	a, b := p.regionOf(from), p.regionOf(to)
	if a == b {
		return sameRegion
	}
	if d, ok := latencies[[2]string{a, b}]; ok {
		return d
	}
	if d, ok := latencies[[2]string{b, a}]; ok {
		return d
	}
	return farAway
}

func (p *player) regionOf(host string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.order {
		if a.Host() == host {
			return a.Region
		}
	}
	return ""
}

// run is one life of a fleet: founded, loaded, disturbed, healed, and closed.
func (p *player) run() {
	p.rng = rand.New(rand.NewPCG(p.s.Seed, 2))
	p.fleet = New(p.judge, p.latency)
	p.fleet.Net = newNetwork(p.latency, p.s.Seed)
	p.fleet.Tune, p.fleet.started = p.tune, p.watchOver
	defer p.end()
	if !p.found() {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	for _, c := range p.s.Clients {
		load.Go(func() { p.client(ctx, c) })
	}
	p.happen()
	p.recover()
	stop()
	load.Wait()
	p.close()
}

// end stops everything. It comes last, whatever happened.
func (p *player) end() {
	for _, a := range p.all() {
		a.disk.Release()
		if a.Running() {
			p.halt(a)
		}
	}
	p.work.Wait()
	p.fleet.Close()
}

// found makes the fleet, and waits until as many vote as can.
func (p *player) found() bool {
	for _, site := range p.s.Members {
		if !p.enlist(site) {
			p.wrong("join", "%s is not let into a fleet that nothing disturbs", site.Name)
			return false
		}
	}
	want, eligible := 1, p.eligible()
	for ; want+2 <= min(eligible, int(p.s.voters())); want += 2 {
	}
	if p.s.Voters != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		p.fleet.Want(ctx, p.s.Voters)
	}
	return p.await("the voters vote", time.Minute, func() bool {
		l := p.leader()
		return l != nil && len(l.Live().Node().Status().Voters) >= want
	})
}

// cast makes a member that is in no fleet yet, with an empty disk. It is the one of its name from here on.
func (p *player) cast(site Site) *actor {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &actor{
		Member: p.fleet.add(site.Name, site.Region), life: make(turn, 1), never: site.Never, watcher: p.log.Watcher(site.Name, 0),
		disk: consensustest.NewDisk(rand.New(rand.NewPCG(p.s.Seed, uint64(len(p.order))))),
	}
	a.disk.Lie(p.bug != nil && p.bug.Lying)
	p.actors[site.Name], p.order = a, append(p.order, a)
	return a
}

// playing is the actor of a member.
func (p *player) playing(m *Member) *actor {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.order {
		if a.Member == m {
			return a
		}
	}
	return nil
}

// enlist founds the fleet with a member, or lets it join through another.
func (p *player) enlist(site Site) bool {
	a := p.cast(site)
	a.life.Lock()
	defer a.life.Unlock()
	if a == p.all()[0] {
		if _, err := agent.Init(agent.InitOptions{DataDir: a.dir, Fleet: "sim", Cluster: a.Name, Region: a.Region, Addresses: a.addresses()}); err != nil {
			p.wrong("fleet", "init: %v", err)
			return false
		}
		return p.start(a) && p.await("the fleet is founded", time.Minute, func() bool { return a.Core.Store().View().Revision() > 0 })
	}
	if err := p.enrol(a); err != nil {
		a.gone.Store(true)
		return false // whom it asks may be cut off
	}
	return p.start(a)
}

// enrolTries bounds how often a join is tried: each asks one member, which may be unlucky.
const enrolTries = 5

func (p *player) enrol(a *actor) (err error) {
	terms := law.Terms{}
	if a.never {
		terms.Voting = "Never"
	}
	for range enrolTries {
		through := p.someone(a)
		if through == nil {
			err = errors.New("nobody is there")
			time.Sleep(time.Second)
			continue
		}
		if err = p.enrolThrough(through, a, terms); err == nil {
			return nil
		}
		time.Sleep(time.Second)
	}
	return err
}

func (p *player) enrolThrough(core *agent.Core, a *actor, terms law.Terms) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	token, err := core.CreateToken(ctx, terms)
	if err != nil {
		return fmt.Errorf("make token: %w", err)
	}
	return a.Enrol(ctx, token)
}

// someone is the Core of a running member that is not the one, and may do everything; nil when there is none.
func (p *player) someone(not *actor) *agent.Core {
	var found []*agent.Core
	for _, a := range p.all() {
		if core := a.Live(); core != nil && a != not && !a.never && !a.gone.Load() {
			found = append(found, core)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[p.draw(len(found))]
}

// leader is the running member that leads, nil when nobody does.
func (p *player) leader() *actor {
	for _, a := range p.all() {
		if core := a.Live(); core != nil && core.Node().Status().State == "leader" {
			return a
		}
	}
	return nil
}

// all members, in the order in which they came.
func (p *player) all() []*actor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*actor(nil), p.order...)
}

func (p *player) actor(name string) *actor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.actors[name]
}

// standing is where each member stands, a line each.
func (p *player) standing() string {
	var b strings.Builder
	for _, a := range p.all() {
		core := a.Live()
		if core == nil {
			continue
		}
		s := core.Node().Status()
		fmt.Fprintf(&b, "\n    %s %.8s: %s of term %d, log to %d, %d committed, revision %d, leader %.8s, source %.8s, voters %.8s, others %.8s",
			a.Name, s.ID, s.State, s.Term, s.Last, s.Commit, core.Store().View().Revision(), s.Leader, s.Source, s.Voters, s.Nonvoters)
	}
	return b.String()
}

// era is the fleet's epoch, from 0.
func (p *player) era() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Epoch()
}

func (p *player) draw(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(n)
}

// await says whether a condition came to hold, and that it did not.
func (p *player) await(what string, within time.Duration, holds func() bool) bool {
	for start := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > within {
			p.wrong("bounded recovery", "after %s, not yet: %s%s", within, what, p.standing())
			return false
		}
	}
	return true
}
