package plan

import "github.com/hanse-fleet/hanse/api/v1alpha1"

// Taking is what becomes of an object that is in a cluster already, and is not of the bundle that brings it.
type Taking uint8

const (
	// Leaves it as it is.
	Leaves Taking = iota
	// TakesEqual takes it over when that changes no field of it.
	TakesEqual
	// Takes overwrites it.
	Takes
)

// TakingOver says what a bundle does with such an object, by its policy. Had says that it was the bundle's before: one that lost it to another
// bundle does not take it back, or the two would go on for ever. Runs says that the object is of another bundle, which runs in the cluster.
func TakingOver(adopt v1alpha1.AdoptPolicy, had, runs bool) Taking {
	switch {
	case had:
		return Leaves
	case adopt == v1alpha1.AdoptAlways:
		return Takes
	case adopt == v1alpha1.AdoptIfEqual && !runs:
		return TakesEqual
	}
	return Leaves
}
