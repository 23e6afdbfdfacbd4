package agent

import (
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestAMemberThatHasJustStartedDoesNotSayThatThereIsNoQuorum(t *testing.T) {
	alone := v1alpha1.FleetStatus{Quorum: v1alpha1.Quorum{Voters: 3, Reached: 1}}
	leaderless := v1alpha1.FleetStatus{Quorum: v1alpha1.Quorum{Voters: 3, Reached: 3, Have: true}}
	found := leaderless
	found.Leader = "fra"
	for i, c := range []struct {
		s    v1alpha1.FleetStatus
		up   time.Duration
		want bool
	}{{alone, time.Second, true}, {alone, startTime, false}, {leaderless, time.Second, true}, {found, time.Second, false}} {
		if got := starting(c.s, c.up); got != c.want {
			t.Errorf("%d: starting %v", i, got)
		}
	}
}
