package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestStandingBy(t *testing.T) {
	// A member is its region, a number, and marks: v votes, n stands by, x is silent, - may not vote.
	tests := []struct{ name, members, want string }{
		{"two, from the regions that have the fewest servers", "a1v a2 a3 b1 c1", "b1 c1"},
		{"one region has only its own", "a1v a2 a3 a4", "a2 a3"},
		{"who stands by goes on", "a1v b1 b2n c1n c2", "b2 c1"},
		{"a silent one is replaced", "a1v b1 b2nx c1n c2", "c1 b1"},
		{"a silent one is better than none", "a1v b1x", "b1"},
		{"who may not vote never stands by", "a1v b1- c1", "c1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var all []consensus.Candidate
			var voters []store.MemberID
			silent := map[store.MemberID]bool{}
			for _, m := range strings.Fields(test.members) {
				id, marks := store.MemberID(m[:2]), m[2:]
				all = append(all, consensus.Candidate{ID: id, Region: m[:1], Eligible: !strings.Contains(marks, "-"), Standby: strings.Contains(marks, "n")})
				if strings.Contains(marks, "v") {
					voters = append(voters, id)
				}
				silent[id] = strings.Contains(marks, "x")
			}
			var want []store.MemberID
			for _, id := range strings.Fields(test.want) {
				want = append(want, store.MemberID(id))
			}
			if got := standingBy(all, voters, func(id store.MemberID) bool { return !silent[id] }); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
