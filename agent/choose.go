package agent

import (
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
)

// standbys is how many members are ready to take a voter's place.
const standbys = 2

// chooseServers asks plan who should vote, and adds who stands by.
func (c *Core) chooseServers(candidates []consensus.Candidate) consensus.Choice {
	var eligible []plan.Candidate
	for _, m := range candidates {
		if m.Eligible {
			eligible = append(eligible, plan.Candidate{ID: string(m.ID), Region: m.Region, Voter: m.Voter, Stable: m.Stable})
		}
	}
	var choice consensus.Choice
	for _, id := range plan.Voters(eligible, c.voterTarget()) {
		choice.Voters = append(choice.Voters, consensus.MemberID(id))
	}
	seen, _, _ := c.board.all()
	now := time.Now()
	choice.Standbys = standingBy(candidates, choice.Voters, func(id store.MemberID) bool { return seen[id].fresh(now) })
	return choice
}

// standingBy picks members that may vote and do not: those that are reached first, then those that stand by already,
// then those whose region has the fewest servers.
func standingBy(candidates []consensus.Candidate, voters []store.MemberID, reached func(store.MemberID) bool) (picked []store.MemberID) {
	servers := map[string]int{}
	var left []consensus.Candidate
	for _, m := range candidates {
		switch {
		case slices.Contains(voters, m.ID):
			servers[m.Region]++
		case m.Eligible:
			left = append(left, m)
		}
	}
	better := func(a, b consensus.Candidate) bool {
		if ra, rb := reached(a.ID), reached(b.ID); ra != rb {
			return ra
		}
		if a.Standby != b.Standby {
			return a.Standby
		}
		if servers[a.Region] != servers[b.Region] {
			return servers[a.Region] < servers[b.Region]
		}
		return a.ID < b.ID
	}
	for len(picked) < standbys && len(left) > 0 {
		best := 0
		for i := range left {
			if better(left[i], left[best]) {
				best = i
			}
		}
		picked = append(picked, left[best].ID)
		servers[left[best].Region]++
		left = slices.Delete(left, best, best+1)
	}
	return picked
}
