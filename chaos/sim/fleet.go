package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Fleet is a fleet in virtual time. Make it, and use it, inside one synctest bubble.
type Fleet struct {
	T       testing.TB
	Net     *Network
	Members []*Member
	// Timing and Seams of every member that starts from now on.
	Timing consensus.Timing
	Seams  agent.Seams
	// Tune may change what a member runs on, before each of its starts; started sees each that has, with a context that
	// ends when it stops. Both may be nil.
	Tune    func(*Member, *agent.CoreConfig)
	started func(ctx context.Context, m *Member)
	dir     string
	disks   bool // its members' logs are in memory
}

// Member is one member of a Fleet, running or not.
type Member struct {
	Name, Region string
	fleet        *Fleet
	addr         *net.UDPAddr
	dir          string
	disk         *consensustest.Disk // nil: it has files
	// Former and KeysLost are what it is enrolled with.
	Former   agent.Former
	KeysLost bool

	// Core is set while the member runs. Whoever runs beside those who start and stop it asks Live.
	Core   *agent.Core
	live   atomic.Pointer[agent.Core]
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // set before ended closes
}

// New makes an empty fleet with a network of the given one-way latency.
func New(t testing.TB, latency func(from, to string) time.Duration) *Fleet {
	timing := consensus.DefaultTiming()
	timing.Stable = 2 * time.Second
	return &Fleet{T: t, Net: newNetwork(latency, 0), Timing: timing, dir: t.TempDir()}
}

// InMemory lets members that come from now on keep their logs on disks of consensustest, and the few files that they have besides in a file system
// that is no disk, where there is one. It is for tests of what members decide: most of the time of such a fleet goes to writing through.
func (f *Fleet) InMemory() {
	f.T.Helper()
	f.disks = true
	dir, err := os.MkdirTemp("/dev/shm", "sim")
	if err != nil {
		return // here is none
	}
	f.T.Cleanup(func() { os.RemoveAll(dir) })
	f.dir = dir
}

// Found founds the fleet with a first member, and starts it.
func (f *Fleet) Found(name, region string) *Member {
	f.T.Helper()
	m := f.add(name, region)
	if _, err := agent.Init(agent.InitOptions{DataDir: m.dir, Fleet: "sim", Cluster: name, Region: region, Addresses: m.addresses()}); err != nil {
		f.T.Fatalf("init %s: %v", name, err)
	}
	m.Start()
	f.Await("the fleet is founded", time.Minute, func() bool { return m.Core.Store().View().Revision() > 0 })
	return m
}

// Join lets a new member in through the first one, and starts it.
func (f *Fleet) Join(name, region string) *Member {
	f.T.Helper()
	return f.JoinBy(law.Terms{}, name, region)
}

// JoinBy is Join with a token of these terms.
func (f *Fleet) JoinBy(terms law.Terms, name, region string) *Member {
	f.T.Helper()
	ctx, cancel := context.WithTimeout(f.T.Context(), time.Minute)
	defer cancel()
	token, err := f.Members[0].Core.CreateToken(ctx, terms)
	if err != nil {
		f.T.Fatalf("make token for %s: %v", name, err)
	}
	m := f.add(name, region)
	if err := m.Enrol(ctx, token); err != nil {
		f.T.Fatalf("join %s: %v", name, err)
	}
	m.Start()
	return m
}

// Candidate is a member that is not in the fleet yet.
func (f *Fleet) Candidate(name, region string) *Member { return f.add(name, region) }

// Enrol asks the fleet to let the member in, as `hanse join` does.
func (m *Member) Enrol(ctx context.Context, token string) error {
	conn := m.fleet.Net.Listen(&net.UDPAddr{IP: m.addr.IP, Port: 9000})
	defer conn.Close()
	_, err := agent.Join(ctx, agent.JoinOptions{DataDir: m.dir, Cluster: m.Name, Region: m.Region, Token: token, Former: m.Former, KeysLost: m.KeysLost, Conn: conn, Addresses: m.addresses()})
	return err
}

// Dir is the member's data directory.
func (m *Member) Dir() string { return m.dir }

func (f *Fleet) add(name, region string) *Member {
	m := &Member{
		Name: name, Region: region, fleet: f,
		addr: &net.UDPAddr{IP: net.IPv4(10, 0, byte((len(f.Members)+1)>>8), byte(len(f.Members)+1)).To4(), Port: 7946},
		dir:  filepath.Join(f.dir, fmt.Sprintf("%d-%s", len(f.Members), name)), // a cluster may come again
	}
	if f.disks {
		m.disk = consensustest.NewDisk(nil)
	}
	f.Members = append(f.Members, m)
	return m
}

// Addresses are those of its data directory.
func (m *Member) Addresses() agent.Addresses { return m.addresses() }

func (m *Member) addresses() agent.Addresses {
	return agent.Addresses{Listen: m.addr.String(), APIListen: net.JoinHostPort(m.Host(), "7947")}
}

// Host is the member's address in the network.
func (m *Member) Host() string { return m.addr.IP.String() }

// Running says whether the member was started and not stopped.
func (m *Member) Running() bool { return m.Core != nil }

// Live is the member's Core, or nil while it does not run.
func (m *Member) Live() *agent.Core { return m.live.Load() }

// Start starts the member on its data directory.
func (m *Member) Start() {
	m.fleet.T.Helper()
	if err := m.TryStart(); err != nil {
		m.fleet.T.Fatalf("start %s: %v", m.Name, err)
	}
}

// TryStart is Start for a member that may refuse.
func (m *Member) TryStart() error {
	conn := m.fleet.Net.Listen(m.addr)
	cfg := agent.CoreConfig{
		DataDir: m.dir, Conn: conn, Timing: m.fleet.Timing, Version: "sim", Logger: logger(), Seams: m.fleet.Seams,
		Fatal: func(err error) { m.fleet.T.Errorf("disk of %s: %v", m.Name, err) },
	}
	if m.disk != nil {
		cfg.Stores = m.disk.Stores()
	}
	if m.fleet.Tune != nil {
		m.fleet.Tune(m, &cfg)
	}
	core, err := agent.OpenCore(cfg)
	if err != nil {
		conn.Close()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.Core, m.cancel, m.ended = core, cancel, make(chan struct{})
	go func() {
		defer close(m.ended)
		m.err = core.Run(ctx)
	}()
	m.live.Store(core)
	if m.fleet.started != nil {
		m.fleet.started(ctx, m)
	}
	return nil
}

// Ended says whether the member has ended by itself. Stop says with what.
func (m *Member) Ended() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// Stop ends the member in order and returns what it ended with.
func (m *Member) Stop() error {
	m.cancel()
	<-m.ended
	m.live.Store(nil)
	err := errors.Join(m.err, m.Core.Close())
	m.Core = nil
	return err
}

// Kill cuts the member off, so that nothing it still says is heard, and then ends it: to the others, and to its own
// disk, that is a kill -9 between two packets.
func (m *Member) Kill() {
	m.Isolate()
	m.Stop() // what it ends with is of no interest to anyone
	m.Rejoin()
}

// Rejoin undoes Isolate.
func (m *Member) Rejoin() {
	m.fleet.Net.Isolate(m.Host(), false)
}

// Isolate cuts the member off from all others, in both directions.
func (m *Member) Isolate() {
	m.fleet.Net.Isolate(m.Host(), true)
}

// Close ends the fleet. The bubble ends after it.
func (f *Fleet) Close() {
	for _, m := range f.Members {
		if m.Running() {
			if err := m.Stop(); err != nil && !errors.Is(err, agent.ErrRemoved) {
				f.T.Errorf("stop %s: %v", m.Name, err)
			}
		}
	}
	time.Sleep(30 * time.Second) // of virtual time: lets the last timers end
	f.Net.Close()
}

// Await waits until a condition holds, and fails the test when it does not within the virtual time. It looks a hundred times
// a second, less often when that may be hours.
func (f *Fleet) Await(what string, within time.Duration, holds func() bool) {
	f.T.Helper()
	pause := max(10*time.Millisecond, within/10_000)
	for start := time.Now(); !holds(); time.Sleep(pause) {
		if time.Since(start) > within {
			f.T.Fatalf("after %s, not yet: %s", within, what)
		}
	}
}

// Leader is the running member that leads, or nil. A deposed leader that does not know it yet may be returned.
func (f *Fleet) Leader() *Member {
	for _, m := range f.Members {
		if m.Running() {
			if id, _, ok := m.Core.Node().Leader(); ok && id == m.ID() {
				return m
			}
		}
	}
	return nil
}

// ID is the member's incarnation.
func (m *Member) ID() store.MemberID { return m.Core.Node().Status().ID }

// Voters says how many members vote, as the leader sees it.
func (f *Fleet) Voters() int {
	if l := f.Leader(); l != nil {
		return len(l.Core.Node().Status().Voters)
	}
	return 0
}

// VotersTold says how many members vote by what the leader has written, and this member has applied: it lags a little.
func (m *Member) VotersTold() int {
	n := 0
	for _, kv := range m.Core.Store().View().List(v1alpha1.KeyClusters) {
		var c v1alpha1.Cluster
		if json.Unmarshal(kv.Value, &c) == nil && c.Status.Voter == v1alpha1.RoleVoter {
			n++
		}
	}
	return n
}

// Want changes how many members vote.
func (f *Fleet) Want(ctx context.Context, voters int32) {
	f.T.Helper()
	f.Settle(ctx, func(s *v1alpha1.FleetSpec) { s.Voters = voters })
}

// Settle changes the settings of the fleet.
func (f *Fleet) Settle(ctx context.Context, set func(*v1alpha1.FleetSpec)) {
	f.T.Helper()
	for _, kv := range f.Members[0].Core.Store().View().List(v1alpha1.KeyFleets) {
		var fleet v1alpha1.Fleet
		if err := json.Unmarshal(kv.Value, &fleet); err != nil {
			f.T.Fatal(err)
		}
		set(&fleet.Spec)
		data, err := json.Marshal(fleet)
		if err != nil {
			f.T.Fatal(err)
		}
		if _, err := Propose(ctx, f.Members[0].Core, kv.Key, data); err != nil {
			f.T.Fatal(err)
		}
	}
}

// Region is the members of a region.
func (f *Fleet) Region(name string) (all []*Member) {
	for _, m := range f.Members {
		if m.Region == name {
			all = append(all, m)
		}
	}
	return all
}

// KillRegion kills all members of a region at once.
func (f *Fleet) KillRegion(name string) {
	for _, m := range f.Region(name) {
		m.Isolate()
	}
	for _, m := range f.Region(name) {
		m.Kill()
	}
}

// CutRegion cuts a region off from all others, in both directions, and MendRegion undoes it.
func (f *Fleet) CutRegion(name string) { f.eachLine(name, f.Net.Cut) }

// MendRegion undoes a CutRegion.
func (f *Fleet) MendRegion(name string) { f.eachLine(name, f.Net.Mend) }

func (f *Fleet) eachLine(region string, do func(from, to string)) {
	for _, m := range f.Region(region) {
		for _, other := range f.Members {
			if other.Region != region {
				do(m.Host(), other.Host())
				do(other.Host(), m.Host())
			}
		}
	}
}

// logger is silent unless HANSE_SIM_LOG is set.
func logger() *slog.Logger {
	if os.Getenv("HANSE_SIM_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write puts a number, as a member would for itself, and returns the revision. The store sees a User of that name.
func (m *Member) Write(ctx context.Context, key string, n int) (store.Revision, error) {
	r, err := Propose(ctx, m.Core, v1alpha1.KeyUsers+key, user(key, fmt.Sprintf("%d %s", n, key))) // no two users have one pin
	return r.Revision, err
}

// Read returns the number that a linearizable read of the key finds, 0 for nothing.
func (m *Member) Read(ctx context.Context, key string) (int, error) {
	if _, err := m.Core.Node().Read(ctx); err != nil {
		return 0, err
	}
	return m.Has(key), nil
}

// Has is the number that the member's own copy has for the key, 0 for nothing.
func (m *Member) Has(key string) int {
	kv, _ := m.Core.Store().View().Get("/users/" + key)
	var u v1alpha1.User
	if len(kv.Value) > 0 && json.Unmarshal(kv.Value, &u) != nil {
		return -1
	}
	number, _, _ := strings.Cut(u.Spec.Pin, " ")
	n, _ := strconv.Atoi(number)
	return n
}
