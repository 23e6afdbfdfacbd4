package sim_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

func TestAHundredJoinAtOneMoment(t *testing.T) {
	long(t)
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		f.Found("fra", "eu")
		f.Join("iad", "us")
		f.Join("sin", "ap")
		f.Await("three members vote", time.Minute, func() bool { return f.Voters() == 3 && all(f, 3) })
		const many = 100
		var candidates []*sim.Member
		var tokens []string
		for i := range many {
			token, err := f.Members[i%3].Core.CreateToken(t.Context(), law.Terms{})
			if err != nil {
				t.Fatal(err)
			}
			candidates, tokens = append(candidates, f.Candidate(fmt.Sprintf("c%d", i), "eu")), append(tokens, token)
		}
		leader := f.Leader()
		_, term, _ := leader.Core.Node().Leader()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		var joining sync.WaitGroup
		for i, m := range candidates {
			joining.Go(func() {
				if err := m.Enrol(ctx, tokens[i]); err != nil {
					t.Errorf("%s: %v", m.Name, err)
				}
			})
		}
		joining.Wait()
		took := time.Since(start)
		if got := len(leader.Core.Store().View().Members()); got != many+3 {
			t.Errorf("%d members", got)
		}
		if took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
		if _, now, _ := leader.Core.Node().Leader(); now != term || f.Leader() != leader {
			t.Errorf("an election: term %d, then %d", term, now)
		}
		t.Logf("%d joined in %s", many, took)
	})
}
