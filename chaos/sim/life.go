package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/chaos/check"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// Small numbers, so that snapshots are made, and sent, in a short life.
const (
	snapshotThreshold = 48
	trailingLogs      = 16
	snapshotPause     = 2 * time.Second
)

// tune says what a member runs on: a disk in memory, with an audit before it, and the bug that is put back.
func (p *player) tune(m *Member, c *agent.CoreConfig) {
	a := p.playing(m)
	c.Timing.Snapshot = snapshotPause
	c.Stores = a.disk.Stores()
	c.Seams.SnapshotThreshold, c.Seams.TrailingLogs = snapshotThreshold, trailingLogs
	c.Seams.Clock, c.Seams.Quota = a.clock, quota
	c.Fatal = func(err error) { p.diskFailed(a, err) }
	if p.bug != nil {
		c.Seams.Faults = p.bug.Faults
		if p.bug.Wrap != nil {
			p.bug.Wrap(a.disk, c)
		}
	}
	c.Stores.Log = auditedLog{LogStore: c.Stores.Log, audit: p.audit, member: m.Name, wrong: p.wrong}
}

// diskFailed is what a member calls when its disk fails. Its process ends then.
func (p *player) diskFailed(a *actor, cause error) {
	if a.crashed.Load() {
		return // the power is gone, or it has been said
	}
	if !a.failing.Load() && !a.lied.Load() {
		p.wrong("disk", "%s: %v", a.Name, cause)
	}
	a.crashed.Store(true)
	p.crashes.Store(true)
	p.work.Go(func() {
		a.life.Lock()
		defer a.life.Unlock()
		if a.Running() {
			p.halt(a)
		}
	})
}

// start starts a member, whose life the caller holds.
func (p *player) start(a *actor) bool {
	a.crashed.Store(false)
	if err := a.TryStart(); err != nil {
		if errors.Is(err, agent.ErrRemoved) {
			a.gone.Store(true)
			return false
		}
		if a.failing.Load() {
			a.crashed.Store(true)
			return false // on a disk that fails; it is tried again
		}
		if a.lied.Load() && errors.As(err, new(*consensus.DamagedError)) {
			a.lost.Store(true)
			return false // it has noticed
		}
		p.wrong("start", "%s: %v", a.Name, err)
		a.lost.Store(true) // once is enough
		return false
	}
	a.begun.Store(true)
	if now := servers(a.Core); a.servers != "" && now != a.servers {
		p.wrong("configuration", "%s was stopped with %s, and starts with %s", a.Name, a.servers, now)
	}
	a.servers = ""
	return true
}

// halt stops a member, whose life the caller holds, in order.
func (p *player) halt(a *actor) {
	err := a.Stop()
	switch {
	case errors.Is(err, agent.ErrRemoved):
		a.gone.Store(true)
	case err != nil && !a.crashed.Load():
		p.wrong("stop", "%s: %v", a.Name, err)
	}
}

// crash takes a member's power, and its life is the caller's.
func (p *player) crash(a *actor) {
	a.crashed.Store(true)
	p.crashes.Store(true)
	a.Isolate()
	a.disk.Crash()
	a.Stop() // what it ends with is of no interest to anyone
	a.Rejoin()
}

// servers are raft's, as a text.
func servers(core *agent.Core) string {
	s := core.Node().Status()
	return fmt.Sprintf("voters %v, others %v", s.Voters, s.Nonvoters)
}

// watchOver observes a member as long as it runs.
func (p *player) watchOver(ctx context.Context, m *Member) {
	a, core := p.playing(m), m.Core
	p.work.Go(func() { p.watch(ctx, a, core) })
	p.work.Go(func() {
		core.Node().WhileLeading(ctx, func(ctx context.Context, term uint64) {
			p.leads(term, m.Name)
			<-ctx.Done()
		})
	})
}

// watch sees all that a member's store shows, and now and then lets go and resumes.
func (p *player) watch(ctx context.Context, a *actor, core *agent.Core) {
	for ctx.Err() == nil {
		w, err := core.Store().Watch("/", store.Revision(p.stands(a)))
		for range 1 + p.draw(20) {
			var batch store.Batch
			if err == nil {
				batch, err = w.Next(ctx)
			}
			if err != nil {
				break
			}
			p.saw(a, batch)
		}
		if errors.Is(err, store.ErrCompacted) {
			p.relist(a, core)
		}
		if err != nil {
			pause.For(ctx, 10*time.Millisecond) // it may have to catch up with what it showed before it was stopped
		}
	}
}

func (p *player) stands(a *actor) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return a.watcher.After()
}

func (p *player) relist(a *actor, core *agent.Core) {
	at := uint64(core.Store().View().Revision())
	p.mu.Lock()
	defer p.mu.Unlock()
	a.watcher.Relisted(at)
}

func (p *player) saw(a *actor, b store.Batch) {
	seen := check.Batch{Revision: uint64(b.Revision), Changes: map[string]string{}}
	for _, e := range b.Events {
		if e.Value == nil {
			seen.Changes[e.Key] = ""
			continue
		}
		seen.Changes[e.Key] = digest(e.Value.Value)
		if value, ours := valueOf(e.Key, e.Value.Value); ours {
			seen.Values = append(seen.Values, value)
		}
		if forged(e.Key, e.Value.Value) {
			p.wrong("law", "%s saw a forged status at %s, revision %d", a.Name, e.Key, b.Revision)
		}
	}
	p.mu.Lock()
	a.watcher.Saw(seen)
	p.mu.Unlock()
}
