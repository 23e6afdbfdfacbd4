package consensus_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestThreeHundred(t *testing.T) {
	members := 300
	if testing.Short() {
		members = 60
	}
	t.Run("a commit reaches all of 300 members, and the leader serves few", func(t *testing.T) {
		start := time.Now()
		bubble(t, members, 20*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
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
			if worst > 150*time.Millisecond {
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
			for _, m := range g.Members {
				g.Kill(m)
			}
			for _, m := range g.Members {
				g.Start(m)
			}
			g.MustPut(g.Leader(), "/after", "v")
			converge(g)
			check()
		})
		t.Logf("in %s", time.Since(start).Round(time.Millisecond))
	})
}
