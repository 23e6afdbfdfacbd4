package transport

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// link is one live connection with a member.
type link struct {
	conn    *quic.Conn
	peer    MemberID
	pin     Pin
	class   Class
	dialled bool // by us
	since   time.Time

	streams    atomic.Int64 // open on it, whoever opened them, not yet closed by us
	transit    atomic.Int64 // those of them that we opened as Transit
	broken     atomic.Bool  // an Open found that it has ended
	used       atomic.Bool  // a stream was opened on it since the last look
	spareSince time.Time    // guarded by Endpoint.mu, as is lastUsed; see settle
	lastUsed   time.Time
}

func (l *link) dead() bool { return l.broken.Load() || l.conn.Context().Err() != nil }

// route is all that is known about one class of connections with one peer. Guarded by Endpoint.mu.
//
// The dialling of a route:
//
//	idle ──Open, no link──▶ dialling ──welcomed──▶ linked ──connection ends──▶ idle
//	                           │ failed                  ▲
//	                           ▼                         │ the peer dials us: from any state
//	                        backing off ──time passed, or addresses changed──▶ idle
type route struct {
	links   []*link       // live, oldest first
	changed chan struct{} // closed and replaced when a link is added
	dial    *dial         // under way, or nil
	backoff backoff
}

func newRoute() *route { return &route{changed: make(chan struct{})} }

// best picks the link for a new stream, nil if there is none with that pin.
//
// While a link is young the newest is best: an older one may be what a peer that restarted has left behind. A link
// that is older than the idle timeout has proven to be alive. From then on both sides prefer what the member with the
// smaller id dialled, so that two that dialled each other at once settle on one of the two connections.
func (r *route) best(self MemberID, pin Pin, proven time.Time) *link {
	var newest, agreed *link
	for _, l := range r.links {
		if l.pin != pin || l.dead() {
			continue
		}
		newest = l
		if l.dialledBySmaller(self) {
			agreed = l
		}
	}
	if agreed != nil && newest.since.Before(proven) {
		return agreed
	}
	return newest
}

// opened counts a stream in, whoever opened it.
func (l *link) opened() {
	l.streams.Add(1)
	l.used.Store(true)
}

func (l *link) dialledBySmaller(self MemberID) bool { return l.dialled == (self < l.peer) }

// ours picks what we dialled, of which we chose the windows, nil if there is none with that pin.
func (r *route) ours(pin Pin) *link {
	for _, l := range slices.Backward(r.links) {
		if l.dialled && l.pin == pin && !l.dead() {
			return l
		}
	}
	return nil
}

// enter counts in a stream that is to be opened. There are no more of Transit than may be left unread: some room of the
// connection's window stays for the others, above all when it is the window of the log.
func (l *link) enter(class Class) (leave func(), err error) {
	if class != Transit {
		return func() {}, nil
	}
	most := int64(maxTransit)
	if l.class != Transit {
		most = maxTransitInstead
	}
	if l.transit.Add(1) > most {
		l.transit.Add(-1)
		return nil, ErrBusy
	}
	return func() { l.transit.Add(-1) }, nil
}

// surplus picks what we dialled and neither side has opened streams on for an idle timeout, because both prefer
// another link. Only the dialler closes it, and only without streams: nothing in use is ever closed for tidiness.
func (r *route) surplus(self MemberID, now time.Time, idle time.Duration) []*link {
	var list []*link
	for _, l := range r.links {
		best := r.best(self, l.pin, now.Add(-idle))
		settled := best != nil && best != l && best.dialledBySmaller(self) && !l.dialledBySmaller(self) && l.since.Before(now.Add(-idle))
		switch {
		case !l.dialled || !settled || l.streams.Load() > 0:
			l.spareSince = time.Time{}
		case l.spareSince.IsZero():
			l.spareSince = now
		case now.Sub(l.spareSince) >= idle:
			list = append(list, l)
		}
	}
	return list
}

// unused picks what we dialled and nobody has opened a stream on for long. A member is connected to those with whom it
// has to do, not to all with whom it ever had.
func (r *route) unused(now time.Time, long time.Duration) []*link {
	var list []*link
	for _, l := range r.links {
		switch {
		case l.used.Swap(false) || l.streams.Load() > 0 || l.lastUsed.IsZero():
			l.lastUsed = now
		case l.dialled && now.Sub(l.lastUsed) >= long:
			list = append(list, l)
		}
	}
	return list
}

// add takes a link in and returns the one that is too many, or nil: the oldest that the peer dialled. It is out of the route at once:
// one that is still being closed must not stand for the next one that is too many.
func (r *route) add(l *link) (extra *link) {
	accepted := 0
	for _, other := range r.links {
		if !other.dialled {
			accepted++
			if extra == nil {
				extra = other
			}
		}
	}
	r.links = append(r.links, l)
	close(r.changed)
	r.changed = make(chan struct{})
	if l.dialled || accepted < maxAccepted {
		return nil
	}
	r.drop(extra)
	return extra
}

func (r *route) drop(l *link) {
	for i, other := range r.links {
		if other == l {
			r.links = append(r.links[:i:i], r.links[i+1:]...)
			return
		}
	}
}

func (r *route) empty() bool { return len(r.links) == 0 && r.dial == nil }
