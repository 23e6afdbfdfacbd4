package aggregate

import (
	"context"
	"errors"
	"time"
)

const (
	// trialTime is for how long, at most, a registration that comes back after it was let go may be in vain.
	trialTime = 30 * time.Second
	// maxRest bounds for how long it is let go.
	maxRest = time.Hour
)

// errLetGo means that kube-apiserver has not reached the member for long.
var errLetGo = errors.New("kube-apiserver has not reached the member for long, so its API is taken out of the cluster, where no namespace would be finished; it is tried again now and then")

// hold is whether the member keeps its API registered. One that lives, and that its kube-apiserver does not reach, does the same
// harm as one that is dead, and only a registration shows whether it is reached:
//
//	held ─── in vain for a life; after it was let go, for a trial ──► let go
//	  ▲                                                                │
//	  └────── after a rest of a life, twice as long each time ─────────┘
//
// Who is reached for a whole life has the first patience again. So an unreached member takes the group out and brings it back
// once an hour in the end, for half a minute.
type hold struct {
	vain  time.Time // not reached since; zero: reached, or not known
	good  time.Time // reached since
	rests int       // how often it was let go since it was reached for a life
	until time.Time // let go until then
}

// letGo says that nothing is to be registered now.
func (h hold) letGo(now time.Time) bool { return now.Before(h.until) }

// after is what a round comes to that tried to register.
func (h hold) after(s Standing, now time.Time, life time.Duration) hold {
	switch s.Reason {
	case ReasonRegistered, ReasonOutlivesMember:
		if h.vain = (time.Time{}); h.good.IsZero() {
			h.good = now
		}
		if now.Sub(h.good) >= life {
			h.rests = 0
		}
	case ReasonNotAvailable:
		if h.good = (time.Time{}); h.vain.IsZero() {
			h.vain = now
		}
		if now.Sub(h.vain) >= h.patience(life) {
			h = hold{rests: h.rests + 1, until: now.Add(min(maxRest, life<<min(h.rests, 8)))}
		}
	}
	return h
}

func (h hold) patience(life time.Duration) time.Duration {
	if h.rests > 0 {
		return min(trialTime, life)
	}
	return life
}

// wait is when the next round is due, if nothing happens.
func (h hold) wait(now time.Time, pause, life time.Duration) time.Duration {
	pause = min(pause, life/renewals)
	if !h.vain.IsZero() {
		pause = min(pause, max(h.vain.Add(h.patience(life)).Sub(now), 0))
	}
	return pause
}

// release takes the APIService out, if it is ours, and leaves what it points to. The member's life may end meanwhile.
func (a *Aggregation) release(ctx context.Context) error {
	o := registration(a.backend, a.config.owner(), nil)
	if _, err := o.remove(ctx, a.client, a.config.owner()); err != nil {
		return &objectError{o, err}
	}
	return errLetGo
}
