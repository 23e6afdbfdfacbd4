package sim

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/law"
)

// quota of every member, far above what clients need and far below what a flood can do.
var quota = consensus.Quota{Proposals: 200, ProposalBurst: 200, Bytes: 1 << 20, ByteBurst: 1 << 20}

// floods is how many proposals a member that floods has under way, each of them repeated at once.
const floods = 24

// large is the size of values of which the quota of bytes lets fewer pass than that of proposals.
const large = 40 << 10

// flood lets a member propose as fast as it can, small values or large ones. While one and the same other member leads, no
// more than the quota passes.
func (p *player) flood(a *actor, e Event) {
	core := a.Live()
	if core == nil {
		return
	}
	leader, term, _ := core.Node().Leader()
	ctx, cancel := context.WithCancel(context.Background())
	begun, size := time.Now(), p.draw(2)*large
	value := fmt.Appendf(nil, `{"expires":"2999-01-01T00:00:00Z","cluster":%q}`, strings.Repeat("-", size)) // a token, as of these no past is kept
	var passed atomic.Int64
	var work sync.WaitGroup
	for i := range floods {
		key := fmt.Sprintf("%sflood-%s-%d", law.KeyTokens, a.Name, i)
		work.Go(func() {
			for ctx.Err() == nil && a.Live() == core {
				one, done := context.WithTimeout(ctx, 2*time.Second)
				if _, err := Propose(one, core, key, value); err == nil {
					passed.Add(1)
				} else {
					pause.For(one, 10*time.Millisecond)
				}
				done()
			}
		})
	}
	p.during(e)
	cancel()
	work.Wait()
	after, stillTerm, _ := core.Node().Leader()
	if leader == "" || leader != after || term != stillTerm || leader == core.Node().Status().ID {
		return
	}
	n, during := passed.Load(), time.Since(begun).Seconds()+1
	if most := int64(quota.ProposalBurst + quota.Proposals*during); n > most {
		p.wrong("quota", "%d proposals of %s passed in %s, and its quota is %d", n, a.Name, time.Since(begun), most)
	}
	if most := int64(quota.ByteBurst + quota.Bytes*during); n*int64(size) > most {
		p.wrong("quota", "%d bytes of %s passed in %s, and its quota is %d", n*int64(size), a.Name, time.Since(begun), most)
	}
}
