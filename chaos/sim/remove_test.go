package sim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// remove takes a cluster out as `hanse remove` does, through a member.
func remove(t *testing.T, through *sim.Member, cluster string) store.Revision {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	at, err := sim.Remove(ctx, through.Core, cluster)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestARemovedMemberIsCutOffAndTold(t *testing.T) {
	for _, leader := range []bool{false, true} {
		name := "a follower"
		if leader {
			name = "the leader"
		}
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				f := sim.New(t, wide)
				defer f.Close()
				five(f)
				victim, other := pick(f, leader)
				id := victim.ID()
				at := remove(t, other, victim.Name)
				f.Await("it has stopped, knowing why", time.Minute, func() bool { return victim.Ended() })
				if err := victim.Stop(); !errors.Is(err, agent.ErrRemoved) {
					t.Errorf("it ended with: %v", err)
				}
				f.Await("nobody votes with it", time.Minute, func() bool {
					l := f.Leader()
					if l == nil {
						return false
					}
					s := l.Core.Node().Status()
					for _, v := range append(s.Voters, s.Nonvoters...) {
						if v == id {
							return false
						}
					}
					return len(s.Voters) == 3
				})
				write(t, other, "after", 1)
				for _, m := range f.Members {
					if m.Running() && m.Core.Store().View().Revision() < at {
						t.Errorf("%s is behind the removal", m.Name)
					}
				}
				if err := victim.TryStart(); !errors.Is(err, agent.ErrRemoved) {
					t.Errorf("started again: %v", err)
				}
			})
		})
	}
}

func TestAMemberRemovedWhileAwayIsToldOnItsReturn(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		victim, other := pick(f, false)
		victim.Isolate()
		remove(t, other, victim.Name)
		time.Sleep(20 * time.Second)
		if victim.Ended() {
			t.Error("it ended before anybody could tell it")
		}
		f.Net.Heal()
		f.Await("it has stopped, knowing why", time.Minute, func() bool { return victim.Ended() })
		if err := victim.Stop(); !errors.Is(err, agent.ErrRemoved) {
			t.Errorf("it ended with: %v", err)
		}
	})
}

// pick returns the leader, or a voter that is not, and some other member.
func pick(f *sim.Fleet, leader bool) (victim, other *sim.Member) {
	l := f.Leader()
	for _, m := range f.Members[:3] {
		if m != l {
			other = m
		}
	}
	if leader {
		return l, other
	}
	return other, l
}

// TestAVoterIsRemovedRightAfterAnotherDied is what cost the majority when a removal only looked at who was silent already.
func TestAVoterIsRemovedRightAfterAnotherDied(t *testing.T) {
	for name, members := range map[string][][2]string{
		"others take both places":             {{"iad", "us"}, {"sin", "ap"}, {"ams", "eu"}, {"pdx", "us"}},
		"nobody else is there: one is left":   {{"iad", "us"}, {"sin", "ap"}},
		"one is there to take the dead one's": {{"iad", "us"}, {"sin", "ap"}, {"ams", "eu"}},
	} {
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				f := sim.New(t, wide)
				defer f.Close()
				f.Found("fra", "eu")
				for _, m := range members {
					f.Join(m[0], m[1])
				}
				f.Await("three members vote", time.Minute, func() bool { return f.Voters() == 3 && all(f, 3) })
				leader := f.Leader()
				var others []*sim.Member
				for _, m := range f.Members[:3] {
					if m != leader {
						others = append(others, m)
					}
				}
				others[0].Kill()
				remove(t, leader, others[1].Name)
				write(t, leader, "after", 1)
			})
		})
	}
}

func TestTwoRemovalsAtOnceAreNotBothMade(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		through := f.Leader()
		var removals []consensus.Proposal // both are judged by one state, and each alone would be allowed
		for _, m := range f.Members[3:] {
			removal, err := sim.Proposal(through.Core, v1alpha1.KeyClusters+m.Name, nil)
			if err != nil {
				t.Fatal(err)
			}
			removals = append(removals, removal)
		}
		var made int
		for _, removal := range removals {
			_, err := through.Core.Node().Propose(ctx, removal)
			if conflict := (*store.Conflict)(nil); err != nil && !errors.As(err, &conflict) {
				t.Fatal(err)
			}
			if err == nil {
				made++
			}
		}
		if made != 1 {
			t.Errorf("%d of 2 were made", made)
		}
		write(t, through, "after", 1)
	})
}
