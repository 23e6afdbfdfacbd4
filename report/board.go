package report

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// UnreachableAfter is how long a member was silent that counts as away.
const UnreachableAfter = 3 * time.Second

const (
	// maxSeen bounds the members on a board, maxBundles and maxSaid what is kept of one of them: who says more is not
	// kept in full.
	maxSeen    = 4096
	maxBundles = 2048
	maxSaid    = 32 << 20
	// maxReport and maxName bound one of its bundles, so that what is passed on fits a bulletin however it is escaped.
	maxReport = 64 << 10
	maxName   = 253
	// maxFacts bounds its facts.
	maxFacts = 16 << 10
	// lookFor is how long who looked once is taken to look.
	lookFor = 5 * Heartbeat
	// countBits of a number count what a member says in one life; the bits above count its lives.
	countBits = 40
)

// Bundle is what a cluster's member says of one bundle in it.
type Bundle struct {
	Bundle    string              `json:"bundle"`
	BundleUID string              `json:"bundleUID"`
	Status    v1alpha1.WorkStatus `json:"status"`
	// Number is the member's when it said so.
	Number uint64 `json:"n,omitempty"`
}

// weight is about how many bytes a report takes.
func (r Bundle) weight() int {
	n := 512 + len(r.Bundle) + len(r.BundleUID) + len(r.Status.Applied) + len(r.Status.Health)
	of := func(o v1alpha1.ObjectRef) int {
		return len(o.APIVersion) + len(o.Kind) + len(o.Namespace) + len(o.Name)
	}
	if d := r.Status.LastDrift; d != nil {
		n += 128 + of(d.ObjectRef) + len(d.Manager)
	}
	for _, p := range r.Status.Problems {
		n += 128 + of(p.ObjectRef) + len(p.Reason) + len(p.Message)
	}
	for _, g := range r.Status.Gates {
		n += 128 + len(g.Name) + len(g.Message)
	}
	for _, c := range r.Status.Conditions {
		n += 128 + len(c.Type) + len(c.Status) + len(c.Reason) + len(c.Message)
	}
	return n
}

// Sighting is what a member said last, and when it was heard: by this member, or by one that passed it on.
type Sighting struct {
	Revision store.Revision
	Bundles  map[string]Bundle // by name; never changed, only replaced
	At       time.Time         // of its last sign of life
	ToldAt   time.Time         // of its last report of bundles
	Vitals   *Vitals           // nil: no server of raft
	Direct   bool              // the sign of life came from itself, on a connection of its own
	Facts    json.RawMessage   // what it told last of its cluster and machine; never changed, only replaced
	FactsAt  time.Time         // when
}

// Fresh says that the member lives, as far as is known.
func (s Sighting) Fresh(now time.Time) bool { return now.Sub(s.At) < UnreachableAfter }

// record is a sighting with what is needed to pass it on.
type record struct {
	Sighting
	number  uint64
	told    uint64
	names   []string // sorted; at namesAt
	namesAt uint64
	bytes   int
	factsNo uint64
	claims  map[*line]claim
	// When what changed, by the board's own count: the head, all else by the bundle's name with "" for the names, and
	// the latest of these.
	head   uint64
	facts  uint64
	ticks  map[string]uint64
	latest uint64
}

// claim is what one line says of whether a member lives.
type claim struct {
	silent bool
	hops   int
	at     time.Time
	lapsed bool // it said that the member lives, and has itself been silent since
}

// board holds observed state: what every member, this one included, said last. It never goes through the log.
//
// Each change has a number of the board's own (tick), so a line needs to remember one number to know what it has not told
// yet: nothing waits in a queue, and who is slow hears the latest state.
type board struct {
	self store.MemberID

	mu      sync.Mutex
	records map[store.MemberID]*record
	tick    uint64
	root    bool      // this member is a server of raft
	sourced time.Time // how new what its sources say is
	version uint64    // counts changes of what is said; a mere sign of life does not count
	changed chan struct{}
	urgent  chan struct{} // closes when there is something to pass on at once
	looked  time.Time     // until when somebody looks, here or below, at what others say
}

// newBoard is the board of a member in one of its lives, the first of which is 1.
func newBoard(self store.MemberID, life uint64) *board {
	b := &board{self: self, records: map[store.MemberID]*record{}, changed: make(chan struct{}), urgent: make(chan struct{})}
	b.record(self).number = life << countBits
	return b
}

// record finds a member's, and makes one for a member that is not known yet; nil when there are too many. The caller
// holds mu.
func (b *board) record(id store.MemberID) *record {
	r := b.records[id]
	if r == nil && len(b.records) < maxSeen {
		r = &record{claims: map[*line]claim{}, ticks: map[string]uint64{}}
		b.records[id] = r
	}
	return r
}

// beat is this member's sign of life, with what changes all the time.
func (b *board) beat(revision store.Revision, v *Vitals, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.record(b.self)
	r.number++
	r.At, r.Revision, r.Vitals, r.Direct = now, revision, v, true
}

// tell replaces what this member says of its own cluster.
func (b *board) tell(bundles []Bundle, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.record(b.self)
	r.number++
	r.told, r.ToldAt = r.number, now
	next, gone := map[string]Bundle{}, r.namesAt == 0
	for _, n := range bundles[:min(len(bundles), maxBundles)] {
		old, known := r.Bundles[n.Bundle]
		if n.Number = r.number; known && sameReport(old, n) {
			n = old
		} else {
			b.touched(r, n.Bundle)
		}
		next[n.Bundle] = n
	}
	for name := range r.Bundles {
		if _, still := next[name]; !still {
			gone = true
			delete(r.ticks, name)
		}
	}
	r.Bundles = next
	if gone {
		r.names, r.namesAt = slices.Sorted(maps.Keys(next)), r.number
		b.touched(r, "")
	}
	b.touchedHead(r)
	b.bump()
}

// tellFacts replaces what this member says of its cluster and machine. It is not urgent: it goes with the next sign of life.
func (b *board) tellFacts(facts json.RawMessage, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.record(b.self)
	r.number++
	r.Facts, r.FactsAt, r.factsNo = facts, now, r.number
	b.touchedFacts(r)
}

func sameReport(a, b Bundle) bool {
	return a.BundleUID == b.BundleUID && reflect.DeepEqual(a.Status, b.Status)
}

// touched notes that a part of a record changed, and touchedHead that its head did. The caller holds mu.
func (b *board) touched(r *record, part string) {
	b.tick++
	r.ticks[part], r.latest = b.tick, b.tick
}

func (b *board) touchedHead(r *record) {
	b.tick++
	r.head, r.latest = b.tick, b.tick
}

func (b *board) touchedFacts(r *record) {
	b.tick++
	r.facts, r.latest = b.tick, b.tick
}

// bump wakes whoever waits for a change, and the lines. The caller holds mu.
func (b *board) bump() {
	b.wake()
	b.hurry()
}

// hurry wakes the lines. The caller holds mu.
func (b *board) hurry() {
	close(b.urgent)
	b.urgent = make(chan struct{})
}

// news returns a channel that closes when there is something to pass on at once on a line. Where nobody looks a follower hears with the next
// sign of life.
func (b *board) news(l *line) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.role == below && !l.looks {
		return l.called
	}
	return b.urgent
}

// look notes that somebody looks at what others say, here or below, and has that asked for at once if nobody did.
func (b *board) look(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lookNow(now)
}

// lookNow is look for who holds mu.
func (b *board) lookNow(now time.Time) {
	news := !b.isLooked(now)
	b.looked = now.Add(lookFor)
	if news {
		b.hurry()
	}
}

// isLooked says that somebody looks. The caller holds mu.
func (b *board) isLooked(now time.Time) bool { return now.Before(b.looked) }

// wake wakes whoever waits for a change. The caller holds mu.
func (b *board) wake() {
	b.version++
	close(b.changed)
	b.changed = make(chan struct{})
}

// touch wakes whoever waits, because what is fresh depends on time too.
func (b *board) touch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}

// all returns a copy of what was seen, a number that grows with every change, and a channel that closes at the next.
func (b *board) all() (map[store.MemberID]Sighting, uint64, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := make(map[store.MemberID]Sighting, len(b.records))
	for id, r := range b.records {
		if id != b.self || !r.At.IsZero() {
			seen[id] = r.seen(id)
		}
	}
	return seen, b.version, b.changed
}

// seen is the sighting as of now.
func (r *record) seen(id store.MemberID) Sighting {
	s := r.Sighting
	for l, c := range r.claims {
		if at := c.time(l, id); at.After(s.At) {
			s.At, s.Direct = at, l.peer == id
		}
	}
	return s
}

// time is when a member was heard last, by what a line says.
func (c claim) time(l *line, id store.MemberID) time.Time {
	heard := l.asOf
	if l.peer == id {
		heard = l.heard
	}
	if c.silent || c.at.After(heard) {
		return c.at
	}
	return heard
}

// lapse notices whom nobody hears any more, and drops what closed lines said.
func (b *board) lapse(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := false
	for id, r := range b.records {
		for l, c := range r.claims {
			at := c.time(l, id)
			lapsed := now.Sub(at) >= UnreachableAfter
			switch {
			case lapsed && l.closed:
				r.remember(id)
				delete(r.claims, l)
			case lapsed == c.lapsed:
				continue
			default:
				c.lapsed = lapsed
				r.claims[l] = c
			}
			b.touchedHead(r)
			news = true
		}
	}
	if news {
		b.bump()
	}
}

// remember keeps the last sign of life beyond the claims that it comes from.
func (r *record) remember(id store.MemberID) {
	s := r.seen(id)
	r.At, r.Direct = s.At, s.Direct
}

// forget drops members that are not in the fleet any more.
func (b *board) forget(gone func(store.MemberID) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.records {
		if id != b.self && gone(id) {
			delete(b.records, id)
			b.bump()
		}
	}
}

// place says where this member stands: a server of raft, or one that has its news from a source.
func (b *board) place(root bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.root = root
}
