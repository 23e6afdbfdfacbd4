package plan

import (
	"maps"
	"slices"
	"time"
)

const (
	// TurnPatience is how long one whose turn it is may do nothing while it is there. It is longer than a write takes when the leader changes.
	TurnPatience = time.Minute
	// passedOver is how long one that did nothing is passed over.
	passedOver = 10 * time.Minute
)

// Turns are what one member has seen of others whose turn it is to keep the key of a group, by its own clock: one that is there and stuck holds up
// nobody for long. That it was only slow, and two do the same at once, is seen in the log, where one of them alone is in time. The zero value has
// seen nothing.
type Turns struct {
	// waits by what, and by cluster.
	waits map[string]map[string]wait
	stuck map[string]time.Time
}

// wait is for one that had done so much of something, with which of a group's keys, and since when.
type wait struct {
	epoch int64
	done  int
	since time.Time
}

// Waits says what waits, and how much of it each cluster whose turn it is has done; under no name, nobody. As long as that is more and more it does something; who
// does nothing for long is passed over from now on, and returned. What others do in its place, or how fast more of it comes, is nothing of what it does.
func (t *Turns) Waits(what string, epoch int64, done map[string]int, now time.Time) (passed []string) {
	if t.waits == nil {
		t.waits, t.stuck = map[string]map[string]wait{}, map[string]time.Time{}
	}
	was, is := t.waits[what], map[string]wait{}
	for _, on := range slices.Sorted(maps.Keys(done)) {
		w, waited := was[on]
		switch {
		case on == "":
			continue
		case !waited || w.epoch != epoch || done[on] > w.done:
			w.since = now
		case now.Sub(w.since) >= TurnPatience:
			if !t.Stuck(on, now) {
				passed = append(passed, on)
			}
			t.stuck[on] = now.Add(passedOver)
			continue
		}
		is[on] = wait{epoch, done[on], w.since}
	}
	t.waits[what] = is
	return passed
}

// Stuck says that a cluster is passed over now.
func (t *Turns) Stuck(cluster string, now time.Time) bool { return now.Before(t.stuck[cluster]) }
