package report

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestAMemberSpeaksToAFew(t *testing.T) {
	servers := Position{Voters: []store.MemberID{"v1", "v2", "v3"}, Nonvoters: []store.MemberID{"s1"}}
	fed := func(from store.MemberID) Position { s := servers; s.Source = from; return s }
	type step struct {
		status Position
		silent time.Duration // of whoever was spoken to
		want   map[store.MemberID]role
	}
	for name, c := range map[string]struct {
		self  store.MemberID
		steps []step
	}{
		"a voter speaks to all other servers": {"v1", []step{
			{servers, 0, map[store.MemberID]role{"v2": beside, "v3": beside, "s1": beside}},
		}},
		"a voter that no leader speaks to has a source besides, and lets it go": {"v1", []step{
			{fed("v2"), 0, map[store.MemberID]role{"v2": above, "v3": beside, "s1": beside}},
			{servers, 0, map[store.MemberID]role{"v2": beside, "v3": beside, "s1": beside}},
		}},
		"a follower speaks to its source alone": {"f", []step{
			{fed("v2"), 0, map[store.MemberID]role{"v2": above}},
			{fed("r"), 0, map[store.MemberID]role{"r": above}},
		}},
		"a source that is looked for is no reason to leave the last": {"f", []step{
			{fed("r"), 0, map[store.MemberID]role{"r": above}},
			{servers, 0, map[store.MemberID]role{"r": above}},
		}},
		"a follower whose source is silent turns to one voter after the other, until the source is back": {"f", []step{
			{fed("v2"), 0, map[store.MemberID]role{"v2": above}},
			{fed("v2"), 2500 * time.Millisecond, map[store.MemberID]role{"v2": above, "v1": above}},
			{fed("v2"), 5 * time.Second, map[store.MemberID]role{"v2": above, "v3": above}},
			{fed("v2"), 0, map[store.MemberID]role{"v2": above}},
		}},
		"who knows nobody speaks to nobody": {"f", []step{{Position{}, 0, map[store.MemberID]role{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			n, now := neighbours{self: c.self}, time.Unix(1_000_000, 0)
			for i, s := range c.steps {
				now = now.Add(s.silent)
				heard := func(store.MemberID) time.Time { return now.Add(-s.silent) }
				if diff := cmp.Diff(s.want, n.choose(s.status, heard, now)); diff != "" {
					t.Errorf("step %d: %s", i, diff)
				}
			}
		})
	}
}
