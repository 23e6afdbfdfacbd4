package plan_test

import (
	"testing"

	"github.com/hanse-fleet/hanse/plan"
)

// TestWhatWasPickedIsRemembered takes clusters away behind the memory's back, so that what is remembered can be told from what is asked anew.
func TestWhatWasPickedIsRemembered(t *testing.T) {
	situation := largeFleet(2, 3, 0)
	s, all, some := situation.Scene, situation.Bundles[0], situation.Bundles[1]
	some.Spec.Placement.NumberOfClusters = new(int32(3))
	s.Picked = plan.Picked{}
	picks := func(want int32, when string) {
		t.Helper()
		if got := s.BundleStatus(all).Clusters; got != want {
			t.Errorf("%s: %d clusters, want %d", when, got, want)
		}
	}
	picks(3, "at first")
	s.BundleStatus(some)
	s.Clusters = s.Clusters[:2]
	picks(3, "as remembered")
	s.Picked.Remeasured()
	picks(3, "after other metrics, at which it does not look")
	if got := s.BundleStatus(some).Clusters; got != 2 {
		t.Errorf("one that looks at metrics has %d clusters after others came", got)
	}
	all = all.DeepCopy()
	picks(2, "after it was written")
	s.Clusters, s.Picked = s.Clusters[:1], plan.Picked{}
	picks(1, "on another ground")
}
