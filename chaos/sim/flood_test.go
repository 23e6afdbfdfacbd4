package sim_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

// cutWithin is how long after applying a removal a member may still take something from the one removed.
const cutWithin = 100 * time.Millisecond

// hearing is when each member took something from another last.
type hearing struct {
	mu   sync.Mutex
	last map[*sim.Member]map[store.MemberID]time.Time
}

func (h *hearing) seams(m *sim.Member) agent.Seams {
	return agent.Seams{Heard: func(from store.MemberID) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.last[m] == nil {
			h.last[m] = map[store.MemberID]time.Time{}
		}
		h.last[m][from] = time.Now()
	}}
}

func (h *hearing) lastOf(m *sim.Member, from store.MemberID) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[m][from]
}

func TestNobodyHearsARemovedMemberThatFloods(t *testing.T) {
	for _, leader := range []bool{false, true} {
		name := "a follower"
		if leader {
			name = "the leader"
		}
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				f := sim.New(t, wide)
				defer f.Close()
				h := &hearing{last: map[*sim.Member]map[store.MemberID]time.Time{}}
				f.Tune = func(m *sim.Member, cfg *agent.CoreConfig) { cfg.Seams = h.seams(m) }
				five(f)
				victim, other := pick(f, leader)
				id, core := victim.ID(), victim.Core
				ctx, stop := context.WithCancel(t.Context())
				var flood sync.WaitGroup
				for range 20 {
					flood.Go(func() {
						for ctx.Err() == nil {
							one, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
							_, _ = sim.Propose(one, core, "/users/flood", []byte("{}")) // it may well fail
							cancel()
							time.Sleep(time.Millisecond)
						}
					})
				}
				time.Sleep(time.Second)
				applied := map[*sim.Member]time.Time{}
				var watching sync.WaitGroup
				var mu sync.Mutex
				for _, m := range f.Members {
					if m == victim {
						continue
					}
					s := m.Core.Store()
					watching.Go(func() {
						for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(time.Millisecond) {
							if _, gone := s.View().Removed(id); gone {
								mu.Lock()
								defer mu.Unlock()
								applied[m] = time.Now()
								return
							}
						}
					})
				}
				remove(t, other, victim.Name)
				watching.Wait()
				time.Sleep(10 * time.Second)
				stop()
				flood.Wait()
				heard := 0
				for m, at := range applied {
					last := h.lastOf(m, id)
					if !last.IsZero() {
						heard++
					}
					if late := last.Sub(at); late > cutWithin {
						t.Errorf("%s took something %s after it had applied the removal", m.Name, late)
					}
				}
				if heard == 0 || len(applied) != 4 {
					t.Errorf("%d members applied the removal, %d ever heard the removed one", len(applied), heard)
				}
			})
		})
	}
}

func TestAFloodIsHeldToTheQuota(t *testing.T) {
	const size, lasts, free = 8 << 10, 10, 1e9
	for name, c := range map[string]struct {
		quota consensus.Quota
		most  int // proposals of this size that pass in that many seconds
	}{
		"of proposals": {consensus.Quota{Proposals: 20, ProposalBurst: 20, Bytes: free, ByteBurst: free}, 20 * (lasts + 1)},
		"of bytes":     {consensus.Quota{Proposals: free, ProposalBurst: free, Bytes: 20 * size, ByteBurst: 20 * size}, 20 * (lasts + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				f := sim.New(t, wide)
				defer f.Close()
				f.Seams.Quota = c.quota
				five(f)
				floods, _ := pick(f, false)
				other := f.Members[3]
				ctx, stop := context.WithTimeout(t.Context(), lasts*time.Second)
				defer stop()
				var passed atomic.Int64
				var work sync.WaitGroup
				value := fmt.Appendf(nil, `{"expires":"2999-01-01T00:00:00Z","cluster":%q}`, strings.Repeat("-", size)) // a token, as of these no past is kept
				for i := range 16 {
					key := fmt.Sprintf("%sflood-%d", law.KeyTokens, i)
					work.Go(func() {
						for ctx.Err() == nil {
							if r, err := sim.Propose(ctx, floods.Core, key, value); err == nil {
								passed.Add(1)
								_ = floods.Core.Store().WaitFor(ctx, r.Revision) // so that the next one is not in vain
							}
						}
					})
				}
				for ctx.Err() == nil {
					begun := time.Now()
					if _, err := other.Write(t.Context(), "beside", 1); err != nil || time.Since(begun) > time.Second {
						t.Errorf("beside the flood a write of %s took %s: %v", other.Name, time.Since(begun), err)
					}
					time.Sleep(time.Second)
				}
				work.Wait()
				const underway = 16 // what is in doubt at the end, and the request that may overdraw a bucket
				if n := int(passed.Load()); n > c.most+underway || n < c.most/2 {
					t.Errorf("%d passed, %d should at most, and not much fewer", n, c.most)
				}
			})
		})
	}
}
