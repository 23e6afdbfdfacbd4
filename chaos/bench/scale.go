package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// scaleWrites is how many writes are followed to every member, apart by scalePause.
const (
	scaleWrites = 50
	scalePause  = 100 * time.Millisecond
	// gathered bounds the wait for a whole fleet to have caught up.
	gathered = 3 * time.Minute
)

// audience is who must hear of a write: members of ours, or watchers of etcd.
type audience interface {
	// heard returns when all have the revision.
	heard(ctx context.Context, revision int64) error
	close()
}

// scale measures fleets of many members: three voters as processes, all others in this process, their logs in memory.
// etcd has no such members; it has as many watchers, which is how it tells many of a change.
func (b *bed) scale(ctx context.Context) ([]Row, error) {
	b.close() // what has been measured rests no more, but is gone
	b.near, b.far = nil, nil
	var rows []Row
	for _, members := range b.Members {
		b.say("a fleet of %d members", members)
		ours, err := b.scaled(ctx, members, b.fleetOf)
		if err != nil {
			return rows, fmt.Errorf("%d members: %w", members, err)
		}
		peer, err := b.scaled(ctx, members, b.watchersOf)
		if err != nil {
			return rows, fmt.Errorf("%d watchers: %w", members, err)
		}
		row := func(name string, u unit, of, peers float64, goal *target) {
			rows = append(rows, newRow(fmt.Sprintf("%d members, %s", members, name), u, []float64{of}, []float64{peers}, goal))
		}
		row("commit → applied on all, p99", inMilliseconds, ours.lag, peer.lag, atMost(50, inMilliseconds))
		row("idle leader, processor", inMilliCPU, ours.leader.mCPU, peer.leader.mCPU, atMost(150, inMilliCPU))
		row("idle leader, memory", inMiB, ours.leader.mib, peer.leader.mib, nil)
		share := float64(members - 3)
		rows = append(rows,
			newRow(fmt.Sprintf("%d members, idle member, processor", members), inMilliCPU, []float64{ours.crowd.mCPU / share}, nil, atMost(5, inMilliCPU)),
			newRow(fmt.Sprintf("%d members, idle member, memory", members), inMiB, []float64{ours.crowd.mib / share}, nil, atMost(64, inMiB)))
	}
	return rows, nil
}

// scaled is what one fleet took: the 99th percentile of a write's way to all; at rest, the leader, and this process
// with all others in it.
type scaled struct {
	lag           float64
	leader, crowd usage
}

func (b *bed) scaled(ctx context.Context, members int, start func(context.Context, int) (*trio, audience, error)) (s scaled, err error) {
	t, all, err := start(ctx, members)
	if t != nil {
		defer t.close()
	}
	if err != nil {
		return s, err
	}
	defer all.close()
	leader, _, err := t.split(ctx)
	if err != nil {
		return s, err
	}
	var took []time.Duration
	for range scaleWrites {
		if err := rest(ctx, scalePause); err != nil {
			return s, err
		}
		answer, err := leader.client.Put(ctx, "scale", value)
		if err != nil {
			return s, err
		}
		begun := time.Now()
		if err := all.heard(ctx, answer.Header.Revision); err != nil {
			return s, err
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	s.lag = load{Took: took}.at(0.99)
	b.say("%s: at rest", t.name)
	u, err := watchIdle(ctx, leader.process.Process.Pid, os.Getpid())
	if err != nil {
		return s, err
	}
	s.leader, s.crowd = u[0], u[1]
	return s, nil
}

// crowd is members of ours in this process.
type crowd []*member

func (c crowd) heard(ctx context.Context, revision int64) error {
	for _, m := range c {
		if err := m.store.WaitFor(ctx, store.Revision(revision)); err != nil {
			return err
		}
	}
	return nil
}

func (c crowd) close() {
	var wg sync.WaitGroup
	for _, m := range c {
		wg.Go(func() { _ = m.close() }) // nothing is kept
	}
	wg.Wait()
}

// fleetOf starts so many members of ours, and waits until all of them have the fleet's state.
func (b *bed) fleetOf(ctx context.Context, members int) (*trio, audience, error) {
	dir := filepath.Join(b.Dir, "fleet"+strconv.Itoa(members))
	configs := make([]MemberConfig, members)
	identities := make([]transport.Identity, members)
	companions := make([]Companion, members)
	for i := range configs {
		id := consensus.MemberID(fmt.Sprintf("m%d", i+1))
		configs[i] = MemberConfig{ID: id, Dir: filepath.Join(dir, string(id)), Founder: i == 0, Timeout: timeoutAt(0), Listen: loopback(i)}
		var err error
		if identities[i], err = transport.NewIdentity("bench", string(id), transport.MemberID(id)); err != nil {
			return nil, nil, err
		}
		companions[i] = Companion{ID: id, Pin: store.Pin(identities[i].Pin()), Addresses: []string{configs[i].Listen}, Eligible: true}
	}
	t := &trio{name: "ours"}
	for i := range 3 {
		c := configs[i]
		c.API, c.Debug, c.Members = freeTCP(), freeTCP(), companions
		n, err := processOf(dir, b.Program, c, identities[i])
		if err != nil {
			return t, nil, err
		}
		t.nodes = append(t.nodes, n)
	}
	if err := t.open(ctx); err != nil {
		return t, nil, err
	}
	var all crowd
	for i := 3; i < members; i++ {
		c, memory := configs[i], raft.NewInmemStore()
		c.Members = companions
		m, err := openMember(c, identities[i], &consensus.Stores{Log: memory, Stable: memory, Snapshots: raft.NewInmemSnapshotStore()}, nil)
		if err != nil {
			all.close()
			return t, nil, err
		}
		all = append(all, m)
	}
	return t, all, all.gather(ctx, t)
}

// loopback is an address of the member's own: ports that were free a moment ago run out when there are hundreds.
func loopback(member int) string { return fmt.Sprintf("127.9.%d.%d:7946", member/200, member%200+1) }

// gather waits until all have what the leader has.
func (c crowd) gather(ctx context.Context, t *trio) error {
	ctx, cancel := context.WithTimeout(ctx, gathered)
	defer cancel()
	answer, err := t.nodes[0].client.Put(ctx, "gather", value)
	if err == nil {
		err = c.heard(ctx, answer.Header.Revision)
	}
	if err != nil {
		c.close()
		return fmt.Errorf("the fleet has not gathered: %w", err)
	}
	return nil
}

// processOf is a member's process, not started yet.
func processOf(dir, program string, c MemberConfig, identity transport.Identity) (*node, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := transport.SaveIdentity(c.Dir, nil, identity); err != nil {
		return nil, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(c.Dir, "config.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, err
	}
	return &node{
		name: string(c.ID), api: c.API, debug: c.Debug, log: filepath.Join(dir, string(c.ID)+".log"),
		command: []string{program, "member", file},
	}, nil
}

// watchers are clients of etcd, a connection each, that watch the key.
type watchers struct {
	clients []*clientv3.Client
	seen    []clientv3.WatchChan
}

func (w *watchers) heard(ctx context.Context, revision int64) error {
	for _, events := range w.seen {
		for at := int64(0); at < revision; {
			select {
			case e, open := <-events:
				if !open {
					return fmt.Errorf("a watch ended: %w", e.Err())
				}
				at = e.Header.Revision
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (w *watchers) close() {
	for _, c := range w.clients {
		c.Close()
	}
}

func (b *bed) watchersOf(ctx context.Context, members int) (*trio, audience, error) {
	dir := filepath.Join(b.Dir, "watched"+strconv.Itoa(members))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	t, err := etcd(dir, b.Etcd, 0, b.EtcdElection)
	if err != nil {
		return t, nil, err
	}
	if err := t.open(ctx); err != nil {
		return t, nil, err
	}
	w := &watchers{}
	for i := range members - 3 {
		c, err := t.nodes[i%3].dial()
		if err != nil {
			w.close()
			return t, nil, err
		}
		w.clients = append(w.clients, c)
		w.seen = append(w.seen, c.Watch(ctx, "scale"))
	}
	answer, err := t.nodes[0].client.Put(ctx, "scale", value)
	if err == nil {
		wait, cancel := context.WithTimeout(ctx, gathered)
		defer cancel()
		err = w.heard(wait, answer.Header.Revision)
	}
	if err != nil {
		w.close()
	}
	return t, w, err
}
