package events

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Event is something that people should know.
type Event struct {
	// Regarding is what it is about.
	Regarding corev1.ObjectReference
	// Related is what else it is about; the zero value: nothing.
	Related corev1.ObjectReference
	// Warning says that somebody may have to do something.
	Warning bool
	// Reason and Action are one word each: what happened, and what was done. With what it is about they say which events are
	// the same, again.
	Reason, Action string
	// Note says it to people. Of events that are the same, the first one's stands.
	Note string
}

const (
	// seriesEnd is how long after its last event a series is over.
	seriesEnd = 30 * time.Minute
	// seriesPause is how long a series is counted before that is written again.
	seriesPause = 5 * time.Minute
	// maxSeries bounds how many are remembered; what is more is not told.
	maxSeries = 256
)

// key tells which events are the same, again.
type key struct {
	regarding      corev1.ObjectReference
	related        corev1.ObjectReference
	warning        bool
	reason, action string
}

func (e Event) key() key { return key{e.Regarding, e.Related, e.Warning, e.Reason, e.Action} }

// series is an event, and how often it happened.
type series struct {
	Event
	name        string // of the Event in the cluster; empty: none yet
	count       int32
	first, last time.Time
	written     time.Time // when the last write was tried
	unsaid      bool      // there is more than was written
}

// ledger is what happened, and what of it is still to be written. It decides, and does nothing.
type ledger struct {
	all   map[key]*series
	order []key // by first event
}

func newLedger() *ledger { return &ledger{all: map[key]*series{}} }

// take takes down an event, and says whether there was room.
func (l *ledger) take(e Event, now time.Time) bool {
	l.forget(now)
	k := e.key()
	if s, again := l.all[k]; again {
		s.count, s.last, s.unsaid = s.count+1, now, true
		return true
	}
	if len(l.all) >= maxSeries {
		return false
	}
	l.all[k] = &series{Event: e, count: 1, first: now, last: now, unsaid: true}
	l.order = append(l.order, k)
	return true
}

// forget drops series that are over and written.
func (l *ledger) forget(now time.Time) {
	kept := l.order[:0]
	for _, k := range l.order {
		if s := l.all[k]; !s.unsaid && now.Sub(s.last) >= seriesEnd {
			delete(l.all, k)
			continue
		}
		kept = append(kept, k)
	}
	l.order = kept
}

// due is the first series that is to be written now: new ones at once, others when they were not written for a while.
// Otherwise it is nil, and how long nothing will be due, unless something happens.
func (l *ledger) due(now time.Time) (*series, time.Duration) {
	wait := seriesEnd
	for _, k := range l.order {
		s := l.all[k]
		if !s.unsaid {
			continue
		}
		if s.written.IsZero() || now.Sub(s.written) >= seriesPause {
			return s, 0
		}
		wait = min(wait, seriesPause-now.Sub(s.written))
	}
	return nil, wait
}

// drop gives a series up.
func (l *ledger) drop(s *series) { s.unsaid = false }
