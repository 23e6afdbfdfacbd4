package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
)

func TestRegionsWithTheRightOfAnAdminAreEachListedOnce(t *testing.T) {
	member := func(region string, rights v1alpha1.Rights) store.Member {
		return store.Member{Region: region, Rights: string(rights)}
	}
	for name, tt := range map[string]struct {
		members []store.Member
		want    []string
	}{
		"nobody":            {nil, []string{}},
		"all in one region": {[]store.Member{member("us", v1alpha1.RightsOwnObjects), member("eu", v1alpha1.RightsAdmin), member("ap", v1alpha1.RightsReadOnly), member("eu", v1alpha1.RightsAdmin)}, []string{"eu"}},
		"two regions":       {[]store.Member{member("us", v1alpha1.RightsAdmin), member("eu", v1alpha1.RightsAdmin), member("us", v1alpha1.RightsAdmin)}, []string{"eu", "us"}},
	} {
		if diff := cmp.Diff(tt.want, adminRegions(tt.members)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNothingIsPromisedThatAChangeOfVotersTakesBack(t *testing.T) {
	seats := func(ids ...string) (out []plan.Seat) { // a1 lies in region a
		for _, id := range ids {
			out = append(out, plan.Seat{ID: id, Region: id[:1], Able: true})
		}
		return out
	}
	for name, tt := range map[string]struct {
		agreed, now, next []plan.Seat
		want              []string
	}{
		"nothing changes":                         {nil, seats("a1", "b1", "c1"), seats("a1", "b1", "c1"), []string{"a", "b", "c"}},
		"one comes for another of its own region": {nil, seats("a1", "b1", "c1"), seats("a2", "b1", "c1"), []string{"b", "c"}},
		"two more come":                           {nil, seats("a1", "b1", "c1"), seats("a1", "b1", "c1", "a2", "b2"), []string{"c"}},
		"a third has come, and few know yet":      {seats("a1", "b1"), seats("a1", "b1", "c1"), seats("a1", "b1", "c1"), []string{"c"}},
		"one goes":                                {nil, seats("a1", "b1", "c1", "a2"), seats("a1", "b1", "c1"), []string{"b", "c"}},
	} {
		k := council{leader: "b1", living: []string{"a", "b", "c"}, now: tt.now, next: tt.next, agreed: tt.agreed}
		if diff := cmp.Diff(tt.want, k.canLose()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
