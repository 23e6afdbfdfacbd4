package sim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// spread founds a fleet with so many members in each region, and waits until so many vote.
func spread(f *sim.Fleet, voters int32, regions map[string]int) {
	names := []string{}
	for r := range regions {
		names = append(names, r)
	}
	slices.Sort(names)
	for i := range slices.Max(sizes(regions)) {
		for _, r := range names {
			switch name := fmt.Sprint(r, i+1); {
			case i >= regions[r]:
			case len(f.Members) == 0:
				f.Found(name, r)
			default:
				f.Join(name, r)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if voters != v1alpha1.DefaultVoters {
		f.Want(ctx, voters)
	}
	f.Await(fmt.Sprint(voters, " members vote, and nothing changes"), 2*time.Minute, func() bool {
		s := f.Members[0].Core.Status()
		return s.Quorum.Voters == int(voters) && s.Quorum.Reached == int(voters) && s.VoterChange == nil
	})
}

func sizes(regions map[string]int) (all []int) {
	for _, n := range regions {
		all = append(all, n)
	}
	return all
}

// votes counts the voters of a region, and of all regions, as a status has them.
func votes(s v1alpha1.FleetStatus, region string) (here, all int) {
	for _, c := range s.Clusters {
		if c.Voter {
			all++
			if c.Region == region {
				here++
			}
		}
	}
	return here, all
}

// live is a member that runs and is not in the region, the leader if it is not there.
func live(f *sim.Fleet, not string) *sim.Member {
	if l := f.Leader(); l != nil && l.Region != not {
		return l
	}
	for _, m := range f.Members {
		if m.Running() && m.Region != not {
			return m
		}
	}
	return nil
}

// writes tries one write through a member, for that long.
func writes(m *sim.Member, n int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, err := m.Write(ctx, "truth", n)
	return err
}

func TestRegionsDieOneAfterTheOtherAndWritesGoOn(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		spread(f, 5, map[string]int{"ap": 2, "eu": 2, "sa": 2, "us": 2})
		for round := range 2 {
			region := f.Leader().Region
			f.Await("the leader's region can be lost", time.Minute, func() bool {
				return slices.Contains(live(f, region).Core.Status().RegionsYouCanLose, region)
			})
			killed := time.Now()
			f.KillRegion(region)
			if err := writes(live(f, region), round+1, 15*time.Second); err != nil {
				t.Fatalf("round %d: without %s: %v", round, region, err)
			}
			t.Logf("round %d: %s died with the leader, a write after %s", round, region, time.Since(killed).Round(10*time.Millisecond))
			f.Await("its voters are replaced", time.Minute, func() bool {
				m := live(f, region)
				here, all := votes(m.Core.Status(), region)
				return here == 0 && all == 5-2*round && m.Core.Status().VoterChange == nil
			})
			t.Logf("round %d: replaced after %s; can lose %v", round, time.Since(killed).Round(10*time.Millisecond), live(f, region).Core.Status().RegionsYouCanLose)
			if after := time.Since(killed); after > 8*time.Second+30*time.Second {
				t.Errorf("round %d: replaced only after %s", round, after)
			}
		}
	})
}

func TestAVoterThatIsSilentForAMomentKeepsItsVote(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		spread(f, 3, map[string]int{"ap": 2, "eu": 2, "us": 2})
		region := "ap"
		if f.Leader().Region == region {
			region = "eu"
		}
		before := live(f, region).Core.Status()
		f.CutRegion(region)
		time.Sleep(6 * time.Second)
		f.MendRegion(region)
		time.Sleep(10 * time.Second)
		after := live(f, region).Core.Status()
		for i, c := range after.Clusters {
			if c.Voter != before.Clusters[i].Voter {
				t.Errorf("%s votes: %v, before: %v", c.Name, c.Voter, before.Clusters[i].Voter)
			}
		}
	})
}

func TestStatusTellsTheTruthAboutWhatCanBeLost(t *testing.T) {
	for name, c := range map[string]struct {
		voters  int32
		regions map[string]int
	}{
		"four regions, five voters":   {5, map[string]int{"ap": 2, "eu": 2, "sa": 2, "us": 2}},
		"four regions, three voters":  {3, map[string]int{"ap": 1, "eu": 2, "sa": 1, "us": 1}},
		"three regions, five voters":  {5, map[string]int{"ap": 1, "eu": 2, "us": 2}},
		"three regions, three voters": {3, map[string]int{"ap": 2, "eu": 2, "us": 2}},
		"two regions, three voters":   {3, map[string]int{"eu": 3, "us": 2}},
		"two regions, five voters":    {5, map[string]int{"eu": 3, "us": 3}},
	} {
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(*seed, uint64(len(name))))
				t.Logf("seed %d; again with: go test ./chaos/sim -run '%s' -seed %d", *seed, t.Name(), *seed)
				f := sim.New(t, wide)
				defer f.Close()
				spread(f, c.voters, c.regions)
				truth{f: f, rng: rng}.walk(rounds(6))
			})
		})
	}
}

// truth compares what status says can be lost with what happens when it is.
type truth struct {
	f   *sim.Fleet
	rng *rand.Rand
	n   int
}

// walk goes through a sequence of deaths and returns of regions, and tries each state.
func (tr truth) walk(steps int) {
	for range steps {
		tr.step()
		time.Sleep(4*time.Second + time.Duration(tr.rng.IntN(40_000))*time.Millisecond)
		tr.try()
	}
}

// step lets a region return, or one die that can be lost.
func (tr *truth) step() {
	var dead []string
	for _, m := range tr.f.Members {
		if !m.Running() && !slices.Contains(dead, m.Region) {
			dead = append(dead, m.Region)
		}
	}
	can := live(tr.f, "").Core.Status().RegionsYouCanLose
	switch {
	case len(can) > 0 && (len(dead) == 0 || tr.rng.IntN(3) > 0):
		region := can[tr.rng.IntN(len(can))]
		tr.f.T.Logf("%s dies", region)
		tr.f.KillRegion(region)
	case len(dead) > 0:
		region := dead[tr.rng.IntN(len(dead))]
		tr.f.T.Logf("%s returns", region)
		for _, m := range tr.f.Region(region) {
			m.Start()
		}
	}
}

// try cuts each living region off in turn, and sees whether those who are left can write.
func (tr *truth) try() {
	for _, region := range tr.regions() {
		s := live(tr.f, region).Core.Status()
		can := slices.Contains(s.RegionsYouCanLose, region)
		if !can && (s.VoterChange != nil || !settled(s)) {
			continue // a promise that is not made is not broken
		}
		tr.n++
		tr.f.CutRegion(region)
		start := time.Now()
		err := writes(live(tr.f, region), tr.n, 15*time.Second)
		switch {
		case can && err != nil:
			tr.f.T.Errorf("%s can be lost, says status, and then: %v\n%s", region, err, describe(s))
		case !can && err == nil:
			tr.f.T.Errorf("%s cannot be lost, says status, and a write went through after %s\n%s", region, time.Since(start), describe(s))
		}
		tr.f.MendRegion(region)
		tr.f.Await("the fleet is as before", time.Minute, func() bool { return writes(live(tr.f, ""), tr.n, 5*time.Second) == nil })
		time.Sleep(5 * time.Second)
	}
}

// regions are those with a member that runs, if there is another.
func (tr *truth) regions() (living []string) {
	for _, m := range tr.f.Members {
		if m.Running() && !slices.Contains(living, m.Region) {
			living = append(living, m.Region)
		}
	}
	slices.Sort(living)
	if len(living) == 1 {
		return nil
	}
	return living
}

// settled says whether every voter is either reached and up to date, or gone for good: then what status does not
// promise cannot be had.
func settled(s v1alpha1.FleetStatus) bool {
	for _, c := range s.Clusters {
		if c.Voter && c.Reachable != (c.Lag == 0 && len(c.SeenGoneBy) == 0) {
			return false
		}
	}
	return true
}

func describe(s v1alpha1.FleetStatus) (text string) {
	text = fmt.Sprintf("%s leads, %d of %d, can lose %v\n", s.Leader, s.Quorum.Reached, s.Quorum.Voters, s.RegionsYouCanLose)
	for _, c := range s.Clusters {
		text += fmt.Sprintf("  %s: votes %v, reached %v, lag %d, gone by %v\n", c.Name, c.Voter, c.Reachable, c.Lag, c.SeenGoneBy)
	}
	return text
}
