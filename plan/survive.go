package plan

import "slices"

// Seat is a voter's place in raft's configuration.
type Seat struct {
	ID, Region string
	// Able voters live, are in contact with the leader, and have all but the last of the log: they can take part in a
	// majority right now.
	Able bool
}

// Majority says whether the able voters outside of a region can decide; "" is no region.
func Majority(seats []Seat, without string) bool {
	able := 0
	for _, s := range seats {
		if s.Able && (without == "" || s.Region != without) {
			able++
		}
	}
	return able > len(seats)/2
}

// CanLose returns those of the living regions, sorted, that could die now and leave able voters who can decide, in
// each of the given configurations: the present one, and the one on its way while a change is under way.
func CanLose(living []string, configurations ...[]Seat) []string {
	var can []string
	for _, region := range living {
		cannot := func(seats []Seat) bool { return !Majority(seats, region) }
		if !slices.ContainsFunc(configurations, cannot) && !slices.Contains(can, region) {
			can = append(can, region)
		}
	}
	slices.Sort(can)
	return can
}
