package check

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Batch is what a watcher saw one revision change.
type Batch struct {
	Revision uint64
	// Changes are keys and their values, or digests of these; "" for a deletion.
	Changes map[string]string
	// Values are those that clients wrote, of which each is written once.
	Values []string
}

// digest tells whether two batches are the same.
func (b Batch) digest() string { return format(b.Changes) }

// Log is what all watchers together saw: what each revision changed. Add to it in any order.
type Log struct {
	batches map[uint64]Batch
	seenBy  map[uint64]string
	written map[string]uint64 // value → revision
	epochs  []span            // the last one goes on
	wrong   []string
}

// span are the revisions of an epoch that watchers can see: those behind one, up to a last one.
type span struct{ after, last uint64 }

// NewLog is one that nothing was seen of.
func NewLog() *Log {
	return &Log{batches: map[uint64]Batch{}, seenBy: map[uint64]string{}, written: map[string]uint64{}, epochs: []span{{}}}
}

// Watcher judges one watcher: what it sees must have no gap, go forward, and be what everybody sees.
type Watcher struct {
	log   *Log
	name  string
	after uint64
}

// Watcher that stands behind a revision.
func (l *Log) Watcher(name string, after uint64) *Watcher {
	return &Watcher{log: l, name: name, after: after}
}

// After is the last revision that the watcher has seen, from which it resumes.
func (w *Watcher) After() uint64 { return w.after }

// Relisted moves the watcher forward: the history was compacted, and it read the state of a later revision instead.
func (w *Watcher) Relisted(at uint64) {
	if at < w.after {
		w.log.wrongf("%s saw revision %d, and was then shown the state of %d", w.name, w.after, at)
	}
	w.after = at
}

// Saw takes the next batch.
func (w *Watcher) Saw(b Batch) {
	switch {
	case b.Revision <= w.after:
		w.log.wrongf("%s saw revision %d again after %d", w.name, b.Revision, w.after)
	case b.Revision > w.after+1:
		w.log.wrongf("%s saw revision %d right after %d", w.name, b.Revision, w.after)
	}
	w.after = b.Revision
	w.log.add(w.name, b)
}

func (l *Log) add(by string, b Batch) {
	if known, ok := l.batches[b.Revision]; ok {
		if known.digest() != b.digest() {
			l.wrongf("revision %d is not the same for all: %s saw\n  %s\nand %s saw\n  %s", b.Revision,
				l.seenBy[b.Revision], indent(known.digest()), by, indent(b.digest()))
		}
		return
	}
	l.batches[b.Revision], l.seenBy[b.Revision] = b, by
	now := &l.epochs[len(l.epochs)-1]
	now.last = max(now.last, b.Revision)
	for _, value := range b.Values {
		if at, ok := l.written[value]; ok {
			l.wrongf("%s was written at revision %d and again at %d", value, at, b.Revision)
		}
		l.written[value] = b.Revision
	}
}

func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n  ") }

// most bounds how many faults of a kind are worth telling.
const most = 5

func (l *Log) wrongf(format string, args ...any) {
	if len(l.wrong) < most {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// Wrong is what was seen to be wrong so far.
func (l *Log) Wrong() []string { return slices.Clone(l.wrong) }

// Written says at which revision a value was written.
func (l *Log) Written(value string) (revision uint64, ok bool) {
	revision, ok = l.written[value]
	return revision, ok
}

// Begins takes that a new epoch began from a state of this revision, which watchers are not shown. No revision that
// anybody saw is used again.
func (l *Log) Begins(revision uint64) {
	for _, e := range l.epochs {
		if revision <= e.last {
			l.wrongf("an epoch begins with revision %d, and somebody saw %d before", revision, e.last)
		}
	}
	l.epochs = append(l.epochs, span{after: revision, last: revision})
}

// Epoch is the one that goes on, from 0.
func (l *Log) Epoch() int { return len(l.epochs) - 1 }

// Len is how many revisions somebody saw.
func (l *Log) Len() int { return len(l.batches) }

// Whole says whether every revision of every epoch, up to the last that anybody saw, was seen by somebody.
func (l *Log) Whole() bool {
	for _, e := range l.epochs {
		for r := e.after + 1; r <= e.last; r++ {
			if _, ok := l.batches[r]; !ok {
				return false
			}
		}
	}
	return true
}

// Lacks names the keys of a state, with its digests, that are older there than they were at a revision of an epoch. What
// is newer, or was never seen, is no matter: it may be a write that nobody had acknowledged yet.
func (l *Log) Lacks(epoch int, revision uint64, state map[string]string) (keys []string) {
	older := map[string]map[string]bool{} // values that were there before
	newest := map[string]string{}
	for r := l.epochs[epoch].after + 1; r <= revision; r++ {
		for key, value := range l.batches[r].Changes {
			if older[key] == nil {
				older[key] = map[string]bool{"": true}
			}
			older[key][newest[key]] = true
			newest[key] = value
		}
	}
	for key, value := range newest {
		if state[key] != value && older[key][state[key]] {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Settle uses the log for what a history leaves open. A write whose outcome is unknown happened if the log has it, and
// never did if it has not: so call it when nothing is under way any more, with a log that is whole. What was
// acknowledged must be in the log, where it was said to be: lost says what is not. An epoch that has ended may have had
// writes that no watcher came to see: they stay as they are.
func (l *Log) Settle(history []Op) (settled []Op, lost []string) {
	for _, op := range history {
		if op.Kind != Put && op.Kind != Swap || op.Outcome == Refused {
			settled = append(settled, op)
			continue
		}
		at, happened := l.Written(op.Value)
		ended := op.Epoch < l.Epoch()
		switch {
		case ended && !happened && (op.Outcome == Unknown || op.Revision > l.epochs[op.Epoch].last):
		case op.Outcome == Done && !happened:
			lost = append(lost, fmt.Sprintf("%s was acknowledged at revision %d, and is lost", op, op.Revision))
		case op.Outcome == Done && op.Revision != at:
			lost = append(lost, fmt.Sprintf("%s was acknowledged at revision %d, and lies at %d", op, op.Revision, at))
		case op.Outcome == Unknown && !happened:
			continue
		case op.Outcome == Unknown:
			op.Outcome, op.Return = Done, math.MaxInt64
		}
		settled = append(settled, op)
	}
	return settled, lost[:min(len(lost), most)]
}
