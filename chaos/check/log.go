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
	last    uint64
	wrong   []string
}

// NewLog is one that nothing was seen of.
func NewLog() *Log {
	return &Log{batches: map[uint64]Batch{}, seenBy: map[uint64]string{}, written: map[string]uint64{}}
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
	l.batches[b.Revision], l.seenBy[b.Revision], l.last = b, by, max(l.last, b.Revision)
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

// Whole says whether every revision between two was seen by somebody.
func (l *Log) Whole(after, to uint64) bool {
	for r := after + 1; r <= to; r++ {
		if _, ok := l.batches[r]; !ok {
			return false
		}
	}
	return true
}

// Settle uses the log for what a history leaves open. A write whose outcome is unknown happened if the log has it, and
// never did if it has not: so call it when nothing is under way any more, with a log that is whole. What was
// acknowledged must be in the log, where it was said to be: lost says what is not.
func (l *Log) Settle(history []Op) (settled []Op, lost []string) {
	for _, op := range history {
		if op.Kind != Put && op.Kind != Swap || op.Outcome == Refused {
			settled = append(settled, op)
			continue
		}
		at, happened := l.Written(op.Value)
		switch {
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
