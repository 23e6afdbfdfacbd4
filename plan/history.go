package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// What the fleet as a whole remembers of changes at most: how many, and how many bytes of what was before them.
const (
	historyChanges = 10_000
	historyBytes   = 64 << 20
	// historyReveals is how often the fleet as a whole remembers that a secret was revealed, apart from other changes: neither strikes
	// off the other.
	historyReveals = 10_000
)

// Remembered is a change of an object that the log keeps.
type Remembered struct {
	Name   string
	Object string // all changes of one object have the same
	At     time.Time
	// Revision that the change made.
	Revision uint64
	// Size of what was before it; 0 when that is not there any more.
	Size int64
	// Revealed says that it is one of who was told a secret: it changed nothing, and says not who made the object so.
	Revealed bool
}

// Forgotten names what the fleet is to remember no longer, the oldest first: changes, each with what was before it, and of others
// only what was before.
type Forgotten struct{ Changes, Pasts []string }

// Forget says which changes are more of their object than are kept, older than they are kept, or the oldest of more than the
// fleet keeps. The latest of an object that is there stays: it says who made it so. What was before a change goes when it is too
// old, or more than the fleet keeps. Of one object nothing goes before what is older, so what is left has no holes. Who was told a
// secret is remembered for as long as a change may be, however many others there are of the secret: only the oldest of more than the
// fleet keeps of these go.
func Forget(changes []Remembered, there map[string]bool, keep v1alpha1.HistorySpec, now time.Time) (f Forgotten) {
	newest := slices.SortedFunc(slices.Values(changes), func(a, b Remembered) int { return cmp.Compare(b.Revision, a.Revision) })
	seen, ended, lost := map[string]int32{}, map[string]bool{}, map[string]bool{}
	room, reveals, bytes := historyChanges-latest(changes, there), historyReveals, int64(historyBytes)
	for _, c := range newest {
		nth, old := seen[c.Object], now.Sub(c.At) > keep.For.Duration
		if c.Revealed {
			if reveals--; old || reveals < 0 {
				f.Changes = append(f.Changes, c.Name)
			}
			continue
		}
		seen[c.Object]++
		if nth > 0 || !there[c.Object] {
			if ended[c.Object] = ended[c.Object] || nth >= keep.Keep || old || room == 0; ended[c.Object] {
				f.Changes = append(f.Changes, c.Name)
				continue
			}
			room--
		}
		if bytes -= c.Size; c.Size > 0 && (lost[c.Object] || old || bytes < 0) {
			lost[c.Object] = true
			f.Pasts = append(f.Pasts, c.Name)
		}
	}
	slices.Reverse(f.Changes)
	slices.Reverse(f.Pasts)
	return f
}

// latest counts the objects that are there and were changed.
func latest(changes []Remembered, there map[string]bool) int {
	objects := map[string]bool{}
	for _, c := range changes {
		if there[c.Object] && !c.Revealed {
			objects[c.Object] = true
		}
	}
	return min(len(objects), historyChanges)
}
