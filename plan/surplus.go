package plan

import (
	"cmp"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
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

// Uses is what is still needed: names of revisions and of rollouts, and the UIDs of bundles whose past is kept.
type Uses struct {
	Revisions, Rollouts, Alive map[string]bool
}

// Uses says what is still needed: what is granted, what runs or may run next, what the newest change came to, and each bundle's last
// good revision.
func (s Situation) Uses() Uses {
	u := Uses{Revisions: map[string]bool{}, Rollouts: map[string]bool{}, Alive: map[string]bool{}}
	for _, grants := range s.Grants {
		for _, g := range grants {
			u.Revisions[g.Revision] = true
		}
	}
	for _, t := range s.Tombstones {
		u.Alive[t.BundleUID] = true
	}
	newest := map[string]int64{}
	for _, b := range s.Bundles {
		u.Alive[string(b.UID)], newest[string(b.UID)] = true, b.Generation
		u.Revisions[v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)] = true
	}
	use := func(r *v1alpha1.Rollout) { u.Rollouts[r.Name], u.Revisions[r.Spec.Revision] = true, true }
	good, last := map[string]*v1alpha1.Rollout{}, map[string]*v1alpha1.Rollout{}
	for _, r := range s.Rollouts {
		generation, alive := newest[r.Spec.BundleUID]
		if !r.Status.Phase.Ended() {
			use(r)
		}
		if alive && r.Spec.Generation == generation && newer(r, last[r.Spec.BundleUID]) {
			last[r.Spec.BundleUID] = r
		}
		if alive && r.Status.Phase == v1alpha1.RolloutComplete && newer(r, good[r.Spec.BundleUID]) {
			good[r.Spec.BundleUID] = r
		}
	}
	for _, of := range []map[string]*v1alpha1.Rollout{good, last} {
		for _, r := range of {
			use(r)
		}
	}
	return u
}
