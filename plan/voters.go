package plan

import (
	"cmp"
	"slices"
)

// Candidate is a member that may vote.
type Candidate struct {
	ID, Region string
	// Voter says that it votes now; Stable that it has been in contact and caught up for a while.
	Voter, Stable bool
}

// Voters picks who should vote: one member until three are stable, then at most target of them (an odd number),
// spread over regions as evenly as they allow. Those that vote now are kept where the spread permits, and a voter
// that is not stable keeps its place until a stable member can take it, so a passing fault changes nothing.
func Voters(candidates []Candidate, target int) []string {
	current, stable := 0, 0
	for _, c := range candidates {
		if c.Voter {
			current++
		}
		if c.Stable {
			stable++
		}
	}
	want := max(1, oddAtMost(min(target, stable)), oddAtMost(min(target, current)))
	return spread(candidates, want)
}

// oddAtMost is the largest odd number that is at most n, and 1 for less.
func oddAtMost(n int) int {
	if n%2 == 0 {
		n--
	}
	return max(n, 1)
}

// spread takes n candidates one by one, each from the region that has the fewest so far; within a region, and
// between regions that have the same number, voters that are stable come first, then other stable members.
func spread(candidates []Candidate, n int) []string {
	left := slices.Clone(candidates)
	slices.SortFunc(left, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID))
	})
	taken := map[string]int{}
	var picked []string
	for len(picked) < n && len(left) > 0 {
		best := 0
		for i, c := range left {
			if usable(c) == usable(left[best]) && taken[c.Region] < taken[left[best].Region] {
				best = i
			}
		}
		c := left[best]
		if !usable(c) {
			break
		}
		taken[c.Region]++
		picked = append(picked, c.ID)
		left = slices.Delete(left, best, best+1)
	}
	slices.Sort(picked)
	return picked
}

// usable members may be picked: a member that neither votes nor is stable is not.
func usable(c Candidate) bool { return c.Stable || c.Voter }

func rank(c Candidate) int {
	switch {
	case c.Stable && c.Voter:
		return 0
	case c.Stable:
		return 1
	case c.Voter:
		return 2
	}
	return 3
}

// CanLose returns the regions, sorted, that could die now and leave a majority of all voters alive. alive says
// which voters are reached now; region maps every voter to its region.
func CanLose(region map[string]string, alive map[string]bool) []string {
	living := map[string]int{}
	total := 0
	for id, r := range region {
		if alive[id] {
			living[r]++
			total++
		} else {
			living[r] += 0
		}
	}
	var can []string
	for r, n := range living {
		if total-n > len(region)/2 {
			can = append(can, r)
		}
	}
	slices.Sort(can)
	return can
}
