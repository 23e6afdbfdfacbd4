package plan

import "time"

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
	waits map[string]wait
	stuck map[string]time.Time
}

// wait is for whom, since when, and for how many things, of which of a group's keys.
type wait struct {
	epoch int64
	on    string
	left  int
	since time.Time
}

// Waits says that something of so many parts waits for a cluster, "" for nobody any more. As long as there are fewer and fewer it does something.
func (t *Turns) Waits(what string, epoch int64, on string, left int, now time.Time) {
	if t.waits == nil {
		t.waits, t.stuck = map[string]wait{}, map[string]time.Time{}
	}
	was, waited := t.waits[what]
	switch {
	case on == "":
		delete(t.waits, what)
	case !waited || was.epoch != epoch || was.on != on || left < was.left:
		t.waits[what] = wait{epoch, on, left, now}
	case now.Sub(was.since) >= TurnPatience:
		t.stuck[on] = now.Add(passedOver)
		delete(t.waits, what)
	default:
		was.left = left
		t.waits[what] = was
	}
}

// Stuck says that a cluster is passed over now.
func (t *Turns) Stuck(cluster string, now time.Time) bool { return now.Before(t.stuck[cluster]) }
