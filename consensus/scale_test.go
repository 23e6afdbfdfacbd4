package consensus_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestThreeHundred(t *testing.T) {
	// oneWay is that of every link here. A commit goes from source to source, and each hop takes it: three hops in most runs, five
	// were seen, and most is what seven would take. Where the hops behind the first are inside a region they are short: the target of one way
	// and 50 ms is for such a fleet, and measured (docs/performance.md).
	const oneWay, most = 20 * time.Millisecond, 7 * 20 * time.Millisecond
	// elections is how many terms a restart of all may take: one, or two when votes are split.
	const elections = 2
	members := 300
	if testing.Short() {
		members = 60
	}
	t.Run("a commit reaches all of 300 members, and the leader serves few", func(t *testing.T) {
		start := time.Now()
		bubble(t, members, oneWay, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			var lags []time.Duration
			for i := range 5 {
				time.Sleep(2 * time.Second)
				leader := g.Leader()
				lags = append(lags, lagsBehind(g, leader, g.MustPut(leader, "/k", fmt.Sprint(i)).Revision)...)
			}
			slices.Sort(lags)
			worst := lags[len(lags)-1]
			t.Logf("applied: p50 %s, p99 %s, worst %s", lags[len(lags)/2], lags[len(lags)*99/100], worst)
			if worst > most {
				t.Errorf("a member was %s late", worst)
			}
			check := func() {
				for _, m := range g.Members {
					if f := m.Node().Status().Followers; f > 64 {
						t.Errorf("%d follow %s", f, m.ID)
					}
				}
			}
			check()
			term := g.Leader().Node().Status().Term
			for _, m := range g.Members {
				g.Kill(m)
			}
			for _, m := range g.Members {
				g.Start(m)
			}
			g.MustPut(g.Leader(), "/after", "v")
			converge(g)
			check()
			leading := 0
			for _, m := range g.Members {
				s := m.Node().Status()
				if s.Term > term+elections {
					t.Errorf("after the restart of all %s is in term %d, and it was %d before", m.ID, s.Term, term)
				}
				if s.State == "leader" {
					leading++
				}
			}
			if leading != 1 {
				t.Errorf("%d members lead", leading)
			}
		})
		t.Logf("in %s", time.Since(start).Round(time.Millisecond))
	})
}
