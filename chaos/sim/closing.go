package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/check"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Bounds of the closing, in virtual time, once nothing is wrong with the world any more.
const (
	recovery = 40 * time.Second // until a write succeeds at every member
	agreed   = 60 * time.Second // until all have the same state
	// learns is how long all of a quiet fleet may take to learn of a commit, at the median: two ways across the world, the
	// disks, and no commit timeout.
	learns      = 350 * time.Millisecond
	quietWrites = 7
)

// recover makes the world whole and waits until every member takes a write.
func (p *player) recover() {
	p.fleet.Net.Heal()
	for _, a := range p.all() {
		p.revive(a)
	}
	p.gathering.Wait()
	if p.succeeded.Load() {
		p.regather(recovery, true)
	}
	if len(p.waiting) > 0 {
		p.wrong("bounded recovery", "the fleet's new epoch is without %v %s after all is whole", p.waiting, recovery)
	}
	p.finishRemovals()
	for i, a := range p.all() {
		core := a.Live()
		if core == nil || a.never {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), recovery)
		name, begun := fmt.Sprintf("%sclosing-%d", ours, i), time.Now()
		_, err := putUser(ctx, core, name, name)
		cancel()
		if err != nil && !a.gone.Load() && !a.Ended() {
			p.wrong("bounded recovery", "%s takes no write %s after all is whole: %v", a.Name, time.Since(begun).Round(time.Second), err)
		}
	}
}

// finishRemovals removes who was about to be, and lets those that have lost their disk go, or come back as another incarnation.
func (p *player) finishRemovals() {
	for _, a := range p.all() {
		switch lost := a.lost.Load(); {
		case a.gone.Load(), !lost && !a.retiring.Load():
		case lost && p.draw(2) == 0:
			if err := p.comesBack(a, true, recovery); err != nil {
				p.wrong("bounded recovery", "the place of %s is not taken %s after all is whole: %v%s", a.Name, recovery, err, p.standing())
			}
		case p.strike(a):
			p.leave(a)
		default:
			p.wrong("bounded recovery", "%s cannot be removed though all is whole%s", a.Name, p.standing())
		}
	}
}

// revive gives a member a good disk and starts it, unless it is gone.
func (p *player) revive(a *actor) {
	a.disk.Release()
	a.disk.Fail(nil)
	a.disk.Slow(0)
	a.skew.Store(0)
	a.life.Lock()
	defer a.life.Unlock()
	if !a.Running() && !a.gone.Load() && !a.lost.Load() {
		p.start(a)
	}
}

// close holds the closing invariants against a quiet fleet, which then loses its power as a whole.
func (p *player) close() {
	if !p.agree() {
		return
	}
	p.followersLearn()
	p.losses()
	if !p.agree() {
		return
	}
	work := p.living()
	for _, a := range work {
		a.life.Lock()
		if a.Running() {
			p.crash(a)
		}
		a.life.Unlock()
	}
	for _, a := range work {
		a.life.Lock()
		p.start(a)
		a.life.Unlock()
	}
	if p.agree() {
		p.sameMembers()
		p.sameState()
	}
}

// living are the members that run and were not removed.
func (p *player) living() []*actor {
	return slices.DeleteFunc(p.all(), func(a *actor) bool { return a.Live() == nil || a.gone.Load() || a.Ended() })
}

// agree waits until all have the same revision, and their watchers have seen it, with somebody in the lead.
func (p *player) agree() bool {
	return p.await("all have the same revision", agreed, func() bool {
		if p.leader() == nil {
			return false
		}
		revisions := map[uint64]bool{}
		for _, a := range p.living() {
			if core := a.Live(); core != nil {
				revisions[uint64(core.Store().View().Revision())] = true
				revisions[p.stands(a)] = true
			}
		}
		return len(revisions) == 1
	})
}

// sameMembers waits until raft's servers are members, and no others.
func (p *player) sameMembers() {
	p.await("raft knows members only", 30*time.Second, func() bool {
		l := p.leader()
		if l == nil {
			return false
		}
		core := l.Live()
		if core == nil {
			return false
		}
		s, v := core.Node().Status(), core.Store().View()
		for _, id := range append(s.Voters, s.Nonvoters...) {
			if _, member := v.Member(id); !member {
				return false
			}
		}
		return true
	})
}

// sameState compares the bytes of all snapshots.
func (p *player) sameState() {
	for range 20 {
		states, revisions := map[string]string{}, map[store.Revision]bool{}
		for _, a := range p.living() {
			core := a.Live()
			if core == nil {
				continue
			}
			s, sum := core.Store().Snapshot(), sha256.New()
			if _, err := s.WriteTo(sum); err != nil {
				p.wrong("same state", "%s: %v", a.Name, err)
				return
			}
			states[a.Name], revisions[s.View().Revision()] = hex.EncodeToString(sum.Sum(nil)), true
		}
		if wrong := check.Same(states); len(revisions) == 1 && wrong != "" {
			p.wrong("same state", "%s", wrong)
			return
		} else if len(revisions) == 1 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.wrong("same state", "the fleet does not come to rest")
}

// followersLearn measures how long a commit takes to reach all, when nothing else happens.
func (p *player) followersLearn() {
	var took []time.Duration
	for i := range quietWrites {
		time.Sleep(1300 * time.Millisecond)
		l := p.leader()
		if l == nil {
			return
		}
		core := l.Live()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		name := fmt.Sprintf("%squiet-%d", ours, i)
		r, err := putUser(ctx, core, name, name)
		cancel()
		if err != nil {
			continue
		}
		begun := time.Now()
		if !p.await("a commit reaches all", 20*time.Second, func() bool {
			return !slices.ContainsFunc(p.living(), func(a *actor) bool {
				core := a.Live()
				return core != nil && core.Store().View().Revision() < r.Revision
			})
		}) {
			return
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	if len(took) > 0 && took[len(took)/2] > learns {
		p.wrong("bounded lag", "all learn of a commit %s after its writer, at the median", took[len(took)/2])
	}
}

// conclude judges what was recorded, once the fleet is no more.
func (p *player) conclude(out *Outcome) {
	add := func(by, what string) { out.Faults = append(out.Faults, Fault{Check: by, At: out.Virtual, What: what}) }
	for _, wrong := range p.log.Wrong() {
		add("watch", wrong)
	}
	if !p.log.Whole() {
		add("watch", "nobody saw every revision, so writes cannot be judged")
		return
	}
	history, lost := p.log.Settle(p.history)
	for _, wrong := range lost {
		add("acknowledged writes", wrong)
	}
	for _, op := range p.denied {
		if at, happened := p.log.Written(op.Value); happened {
			add("refused writes", fmt.Sprintf("%s was surely not made, and lies at revision %d", op, at))
		}
	}
	wrong, undecided := check.Linearizable(history, patience)
	if out.Undecided = undecided; wrong != "" {
		add("linearizable", wrong)
	}
}

func putUser(ctx context.Context, core *agent.Core, name, value string) (store.Result, error) {
	return Propose(ctx, core, v1alpha1.KeyUsers+name, user(name, value))
}
