package consensustest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Member is one node of a group, with what outlives its restarts.
type Member struct {
	ID       consensus.MemberID
	Eligible bool
	Disk     *Disk
	Endpoint *Endpoint
	// Fatal receives what Config.Fatal is called with; it holds more than one so that a second call is seen.
	Fatal chan error

	running atomic.Pointer[running]
}

// running is what a Start made.
type running struct {
	node  *consensus.Node
	store *store.Store
	ended bool
}

// Node is the one of the last Start; it may be closed.
func (m *Member) Node() *consensus.Node { return m.running.Load().node }

// Store is the one of the last Start.
func (m *Member) Store() *store.Store { return m.running.Load().store }

// Pair is the node and the store of one and the same Start.
func (m *Member) Pair() (*consensus.Node, *store.Store) {
	r := m.running.Load()
	return r.node, r.store
}

// Running says whether the member was started and not stopped since.
func (m *Member) Running() bool {
	r := m.running.Load()
	return r != nil && !r.ended
}

func (m *Member) stop() error {
	r := *m.running.Load()
	err := r.node.Close()
	r.ended = true
	m.running.Store(&r)
	return err
}

// Group is a fleet of nodes on a Network.
type Group struct {
	T       testing.TB
	Net     *Network
	Members []*Member
	// Authorizer of every member's store; nil allows everything.
	Authorizer store.Authorizer
	// Tune may change a member's Config before each start.
	Tune func(m *Member, c *consensus.Config)
}

// NewGroup makes members m1 to mN, all eligible, and starts none.
func NewGroup(t testing.TB, n int, latency time.Duration) *Group {
	g := &Group{T: t, Net: NewNetwork(latency)}
	for i := range n {
		id := consensus.MemberID(fmt.Sprintf("m%d", i+1))
		g.Members = append(g.Members, &Member{
			ID: id, Eligible: true, Disk: NewDisk(nil), Endpoint: g.Net.Endpoint(id), Fatal: make(chan error, 4),
		})
	}
	return g
}

// Start opens a member's node, on what its disk has.
func (g *Group) Start(m *Member) {
	g.T.Helper()
	if err := g.TryStart(m); err != nil {
		g.T.Fatalf("open %s: %v", m.ID, err)
	}
}

// TryStart is Start where the disk may be refused.
func (g *Group) TryStart(m *Member) error {
	m.Endpoint.Up()
	state := store.New(g.Authorizer)
	c := consensus.Config{
		ID: m.ID, Store: state, Network: m.Endpoint, Stores: m.Disk.Stores(),
		Fatal: func(err error) { m.Fatal <- err }, Seeds: g.ids,
	}
	if g.Tune != nil {
		g.Tune(m, &c)
	}
	node, err := consensus.Open(c)
	if err != nil {
		m.Endpoint.Down()
		return err
	}
	m.running.Store(&running{node: node, store: c.Store})
	return nil
}

// ids are those of all members, as a member hears them when it joins.
func (g *Group) ids() (all []consensus.MemberID) {
	for _, m := range g.Members {
		all = append(all, m.ID)
	}
	return all
}

// Kill cuts a member off the network and stops its node. What it had not on its disk is lost.
func (g *Group) Kill(m *Member) {
	m.Endpoint.Down()
	if m.Running() {
		m.stop()
	}
}

// Found starts all members, bootstraps the first and enrols the others, and waits until as many vote as should and
// all others follow.
func (g *Group) Found(voters int) {
	g.T.Helper()
	for _, m := range g.Members {
		g.Start(m)
	}
	g.Enrol()
	g.WaitFor("the configuration to settle", func() bool { return g.settled(voters) })
}

// Enrol bootstraps the first member, and makes all of them members.
func (g *Group) Enrol() {
	g.T.Helper()
	first := g.Members[0]
	if err := first.Node().Bootstrap(); err != nil {
		g.T.Fatal(err)
	}
	var ops []store.Op
	for _, m := range g.Members {
		ops = append(ops, store.PutMember(g.record(m)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := first.Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: ops}}); err != nil {
		g.T.Fatalf("enrol: %v", err)
	}
}

// settled says whether every member, those that only follow included, knows the whole configuration, committed.
func (g *Group) settled(voters int) bool {
	eligible := 0
	for _, m := range g.Members {
		if m.Eligible {
			eligible++
		}
	}
	last := g.Members[0].Node().Status().Last
	for _, m := range g.Members {
		s := m.Node().Status()
		if len(s.Voters) != voters || len(s.Nonvoters) != min(2, eligible-voters) || s.Commit != last || s.Last != last {
			return false
		}
	}
	return true
}

func (g *Group) record(m *Member) store.Member {
	r := store.Member{ID: m.ID, Cluster: string(m.ID), Region: "r", Eligible: m.Eligible}
	copy(r.Pin[:], m.ID)
	return r
}

// Remove ends a membership, by a transaction that another member proposes.
func (g *Group) Remove(ctx context.Context, by, gone *Member) error {
	_, err := by.Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{
		Then: store.RemoveMember(g.record(gone), time.Now()),
	}})
	return err
}

// Leader waits until a member that is not among those excluded leads, with a quorum, and returns it.
func (g *Group) Leader(except ...*Member) *Member {
	g.T.Helper()
	var leader *Member
	g.WaitFor("a leader", func() bool {
		for _, m := range g.Members {
			if m.Running() && !contains(except, m) && m.Node().Status().State == "leader" {
				leader = m
				return true
			}
		}
		return false
	})
	return leader
}

func contains(all []*Member, m *Member) bool {
	for _, o := range all {
		if o == m {
			return true
		}
	}
	return false
}

// WaitFor polls until the condition holds, for at most two minutes.
func (g *Group) WaitFor(what string, condition func() bool) {
	g.T.Helper()
	end := time.Now().Add(2 * time.Minute)
	for !condition() {
		if time.Now().After(end) {
			g.T.Fatalf("waited in vain for %s\n%s", what, g.describe())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (g *Group) describe() string {
	out := ""
	for _, m := range g.Members {
		if m.Running() {
			out += fmt.Sprintf("%+v\n", m.Node().Status())
		}
	}
	return out
}

// Put writes one key through a member.
func (g *Group) Put(ctx context.Context, m *Member, key, value string) (store.Result, error) {
	return m.Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: []store.Op{store.Put(key, []byte(value))}}})
}

// MustPut is Put that must succeed within a minute.
func (g *Group) MustPut(m *Member, key, value string) store.Result {
	g.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := g.Put(ctx, m, key, value)
	if err != nil {
		g.T.Fatalf("put %s at %s: %v\n%s", key, m.ID, err, g.describe())
	}
	return r
}

// Get reads one key from a member's own store.
func (m *Member) Get(key string) (string, bool) {
	kv, ok := m.Store().View().Get(key)
	return string(kv.Value), ok
}

// Close stops all that runs. It belongs at the end of the test's bubble.
func (g *Group) Close() {
	for _, m := range g.Members {
		m.Disk.Release()
		if !m.Running() {
			continue
		}
		if err := m.stop(); err != nil {
			g.T.Logf("close %s: %v", m.ID, err)
		}
	}
	g.Net.Wait()
}
