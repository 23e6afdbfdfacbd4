package sim

import "slices"

// Reduce cuts a schedule down while it still fails: halves of what happens first, then quarters, down to single events,
// and the same with the clients. fails plays a schedule, as often as its owner thinks enough. It is not a minimum, for
// what is not seeded; it is what is left when no single thing can be left out.
func Reduce(s Schedule, fails func(Schedule) bool) Schedule {
	s.Events = reduce(s.Events, func(left []Event) bool { c := s; c.Events = left; return fails(c) })
	s.Clients = reduce(s.Clients, func(left []Client) bool { c := s; c.Clients = left; return fails(c) })
	return s
}

// reduce drops runs of items, the longer ones first.
func reduce[T any](all []T, fails func([]T) bool) []T {
	for size := (len(all) + 1) / 2; size > 0; size /= 2 {
		for from := 0; from < len(all); {
			left := slices.Concat(all[:from], all[min(len(all), from+size):])
			if fails(left) {
				all = left
			} else {
				from += size
			}
		}
	}
	return all
}
