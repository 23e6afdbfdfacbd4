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
)

// Remembered is a change of an object that the log keeps.
type Remembered struct {
	Name   string
	Object string // all changes of one object have the same
	At     time.Time
	// Revision that the change made.
	Revision uint64
	// Size of what was before it.
	Size int64
}

// Forget names the changes, sorted, that are more of their object than are kept, older than they are kept, or the oldest of more than
// the fleet keeps. The latest of an object that is there stays: it says who made it so.
func Forget(changes []Remembered, there map[string]bool, keep v1alpha1.HistorySpec, now time.Time) (names []string) {
	newest := slices.SortedFunc(slices.Values(changes), func(a, b Remembered) int { return cmp.Compare(b.Revision, a.Revision) })
	seen := map[string]int32{}
	var stays, may []Remembered
	for _, c := range newest {
		nth := seen[c.Object]
		seen[c.Object]++
		switch {
		case nth == 0 && there[c.Object]:
			stays = append(stays, c)
		case nth >= keep.Keep || now.Sub(c.At) > keep.For.Duration:
			names = append(names, c.Name)
		default:
			may = append(may, c)
		}
	}
	room, bytes := historyChanges-len(stays), int64(historyBytes)
	for _, c := range stays {
		bytes -= c.Size
	}
	for _, c := range may {
		room, bytes = room-1, bytes-c.Size
		if room < 0 || bytes < 0 {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}
