package plan

import (
	"cmp"
	"slices"
)

// revisionsKept is how many revisions, and rollouts, of a bundle are kept that no grant refers to.
const revisionsKept = 10

// Kept is a revision of a bundle that the log keeps.
type Kept struct {
	Name, BundleUID string
	// Written grows with the time at which it was written.
	Written uint64
}

// Surplus names the revisions, sorted, that are not in use and not among the newest of a bundle that is alive. inUse
// are names of revisions, alive the UIDs of bundles.
func Surplus(revisions []Kept, inUse, alive map[string]bool) (names []string) {
	unused := map[string][]Kept{}
	for _, r := range revisions {
		if !inUse[r.Name] {
			unused[r.BundleUID] = append(unused[r.BundleUID], r)
		}
	}
	for uid, of := range unused {
		keep := 0
		if alive[uid] {
			keep = revisionsKept
		}
		slices.SortFunc(of, func(a, b Kept) int { return cmp.Compare(b.Written, a.Written) })
		for _, r := range of[min(keep, len(of)):] {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names
}
