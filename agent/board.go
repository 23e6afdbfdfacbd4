package agent

import (
	"maps"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// A member that was silent for unreachableAfter counts as away.
const unreachableAfter = 3 * time.Second

// bundleReport is what a cluster's member says of one bundle in it.
type bundleReport struct {
	Bundle    string              `json:"bundle"`
	BundleUID string              `json:"bundleUID"`
	Status    v1alpha1.WorkStatus `json:"status"`
}

// sighting is what a member said last, and when this member heard it.
type sighting struct {
	revision store.Revision
	bundles  map[string]bundleReport
	at       time.Time // of the last word
	toldAt   time.Time // of the last full word
	vitals   *vitals   // nil: no server of raft
	// number grows with every full word of the member; 0: none yet.
	number uint64
}

func (s sighting) fresh(now time.Time) bool { return now.Sub(s.at) < unreachableAfter }

// board holds observed state: what every member, this one included, said last. It never goes through the log.
type board struct {
	mu      sync.Mutex
	seen    map[store.MemberID]sighting
	version uint64 // counts changes of what is said; a mere sign of life does not count
	changed chan struct{}
}

func newBoard() *board {
	return &board{seen: map[store.MemberID]sighting{}, changed: make(chan struct{})}
}

// note takes over what a member says.
func (b *board) note(id store.MemberID, w word, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.seen[id]
	news := w.Full || !s.fresh(at)
	s.revision, s.at = w.Revision, at
	s.vitals = w.Vitals
	if w.Full {
		s.number++
		s.toldAt = at
		s.bundles = map[string]bundleReport{}
		for _, r := range w.Bundles {
			s.bundles[r.Bundle] = r
		}
	}
	b.seen[id] = s
	if news {
		b.bump()
	}
}

// bump wakes whoever waits for a change. The caller holds mu.
func (b *board) bump() {
	b.version++
	close(b.changed)
	b.changed = make(chan struct{})
}

// touch wakes whoever waits, because what is fresh depends on time too.
func (b *board) touch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bump()
}

// all returns a copy of what was seen, a number that grows with every change, and a channel that closes at the next.
func (b *board) all() (map[store.MemberID]sighting, uint64, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.seen), b.version, b.changed
}

// forget drops members that are not in the fleet any more.
func (b *board) forget(keep func(store.MemberID) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.seen {
		if !keep(id) {
			delete(b.seen, id)
			b.bump()
		}
	}
}
