package consensus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// swapping is a LogStore that gives out garbage for entries from an index on, as if a newer version had written them.
type swapping struct {
	raft.LogStore
	from atomic.Uint64
}

func (s *swapping) GetLog(index uint64, l *raft.Log) error {
	err := s.LogStore.GetLog(index, l)
	if from := s.from.Load(); err == nil && from > 0 && index >= from && l.Type == raft.LogCommand {
		err = consensus.Amend(l, func(data []byte) []byte { return append([]byte{'H', 200}, data...) })
	}
	return err
}

func TestStoppedStore(t *testing.T) {
	t.Run("a member that meets a newer entry stops, keeps its state, and does not lead", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			logs := map[*consensustest.Member]*swapping{}
			old := g.Members[2]
			g.Tune = func(m *consensustest.Member, c *consensus.Config) {
				if logs[m] == nil {
					logs[m] = &swapping{}
				}
				logs[m].LogStore = c.Stores.Log
				c.Stores.Log = logs[m]
				consensus.Uncached(c)
				if m == old { // the others keep their logs, so that it is not saved by a snapshot of theirs
					c.SnapshotThreshold, c.TrailingLogs = 2, 1
				}
				c.Timing = consensus.DefaultTiming()
				c.Timing.Snapshot = 500 * time.Millisecond
			}
			g.Found(3)
			leader := g.Leader()
			if leader == old {
				t.Fatal("the wrong member leads")
			}
			good := g.MustPut(leader, "/k", "good")
			g.WaitFor("the write to arrive", func() bool { return old.Store().View().Revision() == good.Revision })
			logs[old].from.Store(old.Node().Status().Last + 1)
			for range 5 {
				g.MustPut(leader, "/k", "newer")
			}
			g.WaitFor("it to stop", func() bool { return old.Node().Stopped() != nil })
			if !errors.Is(old.Node().Stopped(), store.ErrNewerVersion) {
				t.Errorf("stopped by %v", old.Node().Stopped())
			}
			if v, _ := old.Get("/k"); v != "good" {
				t.Errorf("its state is %q", v)
			}
			time.Sleep(5 * time.Second)
			for range 3 {
				leader.Node().Transfer(t.Context())
				time.Sleep(3 * time.Second)
				g.MustPut(leader, "/k", "and on")
			}
			if v, _ := old.Get("/k"); v != "good" {
				t.Errorf("it went on to %q", v)
			}
			// With a version that understands them it applies all it let go by, from its log.
			logs[old].from.Store(0)
			g.Kill(old)
			g.Start(old)
			converge(g)
			if v, _ := old.Get("/k"); v != "and on" {
				t.Errorf("it caught up to %q", v)
			}
		})
	})
}

func TestHealthy(t *testing.T) {
	t.Run("a member without quorum is healthy, one with a hanging disk is not", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			m := g.Leader()
			for _, state := range []string{"leading", "without quorum"} {
				ctx, cancel := contextFor(t, time.Second)
				if err := m.Node().Healthy(ctx); err != nil {
					t.Errorf("%s: %v", state, err)
				}
				cancel()
				g.Net.Isolate(m.ID, true)
				time.Sleep(5 * time.Second)
			}
			m.Disk.Stall()
			ctx, cancel := contextFor(t, time.Second)
			defer cancel()
			if err := m.Node().Healthy(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("hanging: %v", err)
			}
		})
	})
}

func TestWhileLeading(t *testing.T) {
	t.Run("it runs once an office, never twice at a time, and sees all that came before", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			ctx, cancel := contextFor(t, time.Hour)
			var running, runs atomic.Int32
			terms := make(chan uint64, 100)
			done := make(chan struct{}, 3)
			for _, m := range g.Members {
				go func() {
					defer func() { done <- struct{}{} }()
					m.Node().WhileLeading(ctx, func(ctx context.Context, term uint64) {
						runs.Add(1)
						terms <- term
						decision := put("/leader", string(m.ID))
						decision.Term = term
						if _, err := m.Node().Propose(ctx, decision); err == nil {
							running.Add(1)
							defer running.Add(-1)
						}
						<-ctx.Done()
					})
				}()
			}
			for i := range 4 {
				time.Sleep(2 * time.Second)
				if n := running.Load(); n != 1 {
					t.Errorf("%d run", n)
				}
				leader := g.Leader()
				g.MustPut(leader, "/seen", string(rune('a'+i)))
				if err := leader.Node().Transfer(t.Context()); err != nil {
					t.Fatal(err)
				}
				g.Leader(leader)
			}
			time.Sleep(2 * time.Second)
			cancel()
			for range g.Members {
				<-done
			}
			close(terms)
			var last uint64
			for term := range terms {
				if term <= last {
					t.Errorf("term %d after %d", term, last)
				}
				last = term
			}
			if runs.Load() != 5 {
				t.Errorf("%d runs", runs.Load())
			}
		})
	})
}

func TestSnapshotOnItsWay(t *testing.T) {
	t.Run("a peer that stops in the middle of a snapshot stops nobody else", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			leader := g.Leader()
			slow, victim := g.Members[1], g.Members[2]
			if slow == leader {
				slow = g.Members[0]
			}
			if victim == leader {
				victim = g.Members[0]
			}
			g.Kill(slow)
			slow.Endpoint.Up()
			peer := rawPeer(t, slow)
			status := victim.Node().Status()
			req := &raft.InstallSnapshotRequest{
				RPCHeader: header(slow.ID), SnapshotVersion: 1, Term: status.Term, Leader: []byte(slow.ID),
				LastLogIndex: 1 << 30, LastLogTerm: status.Term, Size: 1 << 20,
				Configuration: raft.EncodeConfiguration(raft.Configuration{}),
			}
			half, stop := newHangingReader(1 << 19)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				peer.InstallSnapshot(raft.ServerID(victim.ID), raft.ServerAddress(victim.ID), req, &raft.InstallSnapshotResponse{}, half)
			}()
			synctest.Wait()
			g.MustPut(leader, "/k", "v") // needs the victim's vote
			ctx, cancel := contextFor(t, time.Second)
			defer cancel()
			if err := victim.Node().Healthy(ctx); err != nil {
				t.Error(err)
			}
			stop()
			<-ended
		})
	})
}

// hangingReader gives so many bytes and then hangs until it is stopped.
type hangingReader struct {
	left int
	stop chan struct{}
}

func newHangingReader(n int) (*hangingReader, func()) {
	r := &hangingReader{left: n, stop: make(chan struct{})}
	return r, func() { close(r.stop) }
}

func (r *hangingReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		<-r.stop
		return 0, errors.New("stopped")
	}
	n := min(len(p), r.left)
	r.left -= n
	return n, nil
}
