package plan

import (
	"cmp"
	"slices"
)

// Candidate is an eligible member: one that may vote.
type Candidate struct {
	ID, Region string
	// Leader, Voter and Standby say what it is in raft now. A leader is a voter.
	Leader, Voter, Standby bool
	// Stable says that it has been in contact and caught up for a while, Reachable that it is in contact now.
	Stable, Reachable bool
	// Dead is the judgement of many (see Dead), not that of one.
	Dead bool
	// Back says that it was judged dead not long ago: it is not built upon again yet, unless there are too few.
	Back bool
}

// Choice is who should vote, and who should stand by with all of the log to take a dead voter's place. Both are sorted.
type Choice struct {
	Voters, Standbys []string
}

const (
	// voterFloor is the number of voters that a fleet that once had it never goes below.
	voterFloor = 3
	// standbysAtMost bounds the standbys: two, so that one is left when a region dies.
	standbysAtMost = 2
)

// Choose picks who should vote and stand by. One votes until three are stable, then at most target of them, an odd
// number, spread over the regions as evenly as they allow, and so that no region has a majority while three or more
// have members to give. Who votes keeps voting as far as the spread permits; a voter that is silent and not dead does,
// so that a passing fault changes nothing.
//
// A dead voter loses its place to a stable member elsewhere. Where there is none, fewer vote than before, so that
// whoever is left can be lost again; but never fewer than three once there were three: then the dead keep their vote.
// Nor do fewer vote as long as one of the voters is neither stable nor dead.
func Choose(all []Candidate, target int) Choice {
	have, voters := pick(all, usable), 0
	if len(have) < voterFloor {
		have = pick(all, func(c Candidate) bool { return usable(c) || c.Stable && !c.Dead })
	}
	for _, c := range all {
		if c.Voter {
			voters++
		}
	}
	chosen := spread(have, seatCount(have, target))
	if floor := oddAtMost(min(target, voters, voterFloor)); len(chosen) < floor {
		dead := pick(all, func(c Candidate) bool { return c.Voter && c.Dead })
		chosen = append(spread(have, len(have)), spread(dead, floor-len(have))...)
	}
	if len(chosen) < voters && slices.ContainsFunc(all, unsure) {
		chosen = pick(all, func(c Candidate) bool { return c.Voter })
	}
	return Choice{Voters: ids(chosen), Standbys: ids(standbys(all, chosen))}
}

// unsure is a voter of which it is not known whether it will be heard again. A leader that has just been elected is
// unsure of all others: if it gave up the vote of one that lives, and kept that of one that does not, nobody could decide.
func unsure(c Candidate) bool { return c.Voter && !c.Dead && !c.Stable }

// usable members may be counted on to vote.
func usable(c Candidate) bool { return !c.Dead && (c.Voter || c.Stable && !c.Back) }

// seatCount is how many should vote. Two more voters that give one region the majority protect less than they cost.
func seatCount(have []Candidate, target int) int {
	n := oddAtMost(min(target, len(have)))
	for n > voterFloor && len(perRegion(have)) >= 3 && most(perRegion(spread(have, n))) > n/2 {
		n -= 2
	}
	return n
}

// oddAtMost is the largest odd number that is at most n, and 1 for less.
func oddAtMost(n int) int {
	if n%2 == 0 {
		n--
	}
	return max(n, 1)
}

// spread takes up to n candidates one by one, each from the region that has the fewest so far; among equals, the one
// whose choice changes least.
func spread(candidates []Candidate, n int) []Candidate {
	left := slices.Clone(candidates)
	slices.SortFunc(left, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID))
	})
	taken := map[string]int{}
	var picked []Candidate
	for len(picked) < n && len(left) > 0 {
		best := 0
		for i, c := range left {
			if taken[c.Region] < taken[left[best].Region] {
				best = i
			}
		}
		taken[left[best].Region]++
		picked = append(picked, left[best])
		left = slices.Delete(left, best, best+1)
	}
	return picked
}

// rank orders those of a region: who leads, votes, or stands by already comes first.
func rank(c Candidate) int {
	switch {
	case c.Leader:
		return 0
	case c.Voter && c.Stable:
		return 1
	case c.Voter:
		return 2
	case c.Standby:
		return 3
	}
	return 4
}

// standbys are in regions of their own where they can be, and where the fewest vote: there a newcomer disturbs the
// spread least, and does not die with those whom it should replace. One that is silent is better than none, and one
// that stands by already stays until it is dead.
func standbys(all, voters []Candidate) []Candidate {
	votes := perRegion(voters)
	left := pick(all, func(c Candidate) bool {
		return !c.Dead && !slices.ContainsFunc(voters, func(v Candidate) bool { return v.ID == c.ID })
	})
	there := func(c Candidate) bool { return c.Reachable || c.Stable || c.Standby }
	slices.SortFunc(left, func(a, b Candidate) int {
		return cmp.Or(
			compareBool(a.Back, b.Back), compareBool(there(b), there(a)), cmp.Compare(votes[a.Region], votes[b.Region]),
			compareBool(b.Standby, a.Standby), compareBool(b.Stable, a.Stable), cmp.Compare(a.ID, b.ID),
		)
	})
	var picked []Candidate
	for len(picked) < standbysAtMost && len(left) > 0 {
		i := max(0, slices.IndexFunc(left, func(c Candidate) bool { return perRegion(picked)[c.Region] == 0 }))
		picked = append(picked, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return picked
}

// compareBool orders false before true.
func compareBool(a, b bool) int { return b2i(a) - b2i(b) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func pick(all []Candidate, keep func(Candidate) bool) []Candidate {
	var kept []Candidate
	for _, c := range all {
		if keep(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

func perRegion(all []Candidate) map[string]int {
	n := map[string]int{}
	for _, c := range all {
		n[c.Region]++
	}
	return n
}

func most(n map[string]int) int {
	top := 0
	for _, k := range n {
		top = max(top, k)
	}
	return top
}

func ids(all []Candidate) []string {
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.ID)
	}
	slices.Sort(names)
	return names
}
