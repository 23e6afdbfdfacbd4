package report

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// errForged means that a member spoke of others without being one that may.
var errForged = errors.New("it speaks for other members, and neither votes nor may")

// role is where the other end of a line stands, seen from this member.
//
//	above    a source: it is told of this member and of those below it, and tells of everybody
//	beside   another server of raft: each tells the other of itself and of those below it
//	below    a follower: it tells of itself and of those below it, and is told of everybody
//
// Nobody passes on upwards or sideways what did not come from below, so nothing goes in circles; while sources change
// there may be one for a moment, and what goes round in it counts its hops.
type role uint8

const (
	above role = iota
	beside
	below
)

// line is one stream of reports with another member. Its fields belong to the board and its lock.
type line struct {
	peer store.MemberID
	role role
	// heard is when the other end spoke last, asOf how new what it says of others is.
	heard, asOf time.Time
	closed      bool
	// looks says that somebody looks at the other end, or below it, at what is said; called closes when somebody begins to.
	looks  bool
	called chan struct{}

	// after is the board's count up to which all has been told. Members that became tellable later are in arrears: they
	// have a number of their own, until they have caught up.
	after   uint64
	arrears map[store.MemberID]uint64
	// said are those that the other end believes to live, by our word.
	said map[store.MemberID]bool
}

func newLine(peer store.MemberID, r role) *line {
	return &line{peer: peer, role: r, called: make(chan struct{}), arrears: map[store.MemberID]uint64{}, said: map[store.MemberID]bool{}}
}

// end says that a line's stream is no more. What it said holds until it is old.
func (b *board) end(l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.closed = true
}

// heardOf says when a line's other end spoke last.
func (b *board) heardOf(l *line) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return l.heard
}

// take takes in what the other end of a line says. Who is not trusted with others may speak for itself only.
func (b *board) take(l *line, w bulletin, trusted bool, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.heard = now
	if asOf := w.asOf(now); asOf.After(l.asOf) {
		l.asOf = asOf
	}
	if l.role == above && l.asOf.After(b.sourced) {
		b.sourced = l.asOf
	}
	l.lookedAt(w.Looks)
	if w.Looks {
		b.lookNow(now)
	}
	urgent := false
	for _, n := range w.News {
		switch {
		case n.ID == l.peer, trusted && n.ID != b.self:
			urgent = b.hear(l, n, now) || urgent
		case n.ID != b.self:
			return errForged
		}
	}
	if urgent {
		b.bump()
	}
	return nil
}

// lookedAt takes in whether somebody looks at the other end. The caller holds the board's lock.
func (l *line) lookedAt(looks bool) {
	if looks && !l.looks {
		close(l.called)
		l.called = make(chan struct{})
	}
	l.looks = looks
}

// hear takes in what is said of one member, and says whether others should hear at once.
func (b *board) hear(l *line, n news, now time.Time) (urgent bool) {
	r := b.record(n.ID)
	if r == nil {
		return false
	}
	direct := l.peer == n.ID
	c, known := r.claims[l]
	if !known || c.silent != n.Silent || c.hops != n.Hops || c.lapsed {
		b.touchedHead(r)
		urgent = true
	}
	r.claims[l] = claim{silent: n.Silent, hops: n.Hops, at: ago(now, n.Age), lapsed: n.Silent && n.Age >= UnreachableAfter.Milliseconds()}
	if n.Number > r.number || n.Number == r.number && direct {
		urgent = b.hearHead(r, n, direct, now) || urgent
	}
	b.hearFacts(r, n, now)
	return b.hearBundles(r, n, now) || urgent
}

// hearHead takes a newer head. What a server says of its own measures on its own connection goes before what was passed
// on of them.
func (b *board) hearHead(r *record, n news, direct bool, now time.Time) (urgent bool) {
	r.number = n.Number
	if r.Revision != n.Revision {
		r.Revision = n.Revision
		b.touchedHead(r) // passed on with the next sign of life
	}
	if s := r.seen(n.ID); direct || !s.Direct || !s.Fresh(now) {
		if urgent = !r.Vitals.brief().equal(n.Vitals.brief()); urgent {
			b.touchedHead(r)
		}
		r.Vitals = n.Vitals
	}
	return urgent
}

// hearFacts takes newer facts; they are passed on with the next sign of life.
func (b *board) hearFacts(r *record, n news, now time.Time) {
	if n.FactsAt <= r.factsNo || len(n.Facts) > maxFacts {
		return
	}
	r.Facts, r.FactsAt, r.factsNo = n.Facts, ago(now, n.FactsAge), n.FactsAt
	b.touchedFacts(r)
}

// hearBundles takes what is newer of a member's bundles.
func (b *board) hearBundles(r *record, n news, now time.Time) (urgent bool) {
	if n.Told > r.told {
		r.told, r.ToldAt, urgent = n.Told, ago(now, n.ToldAge), true
		b.touchedHead(r)
	}
	if n.NamesAt <= r.namesAt && len(n.Bundles) == 0 {
		return urgent
	}
	next := make(map[string]Bundle, len(r.Bundles)+len(n.Bundles))
	maps.Copy(next, r.Bundles)
	r.Bundles = next
	if n.NamesAt > r.namesAt {
		urgent = true
		b.hearNames(r, n)
	}
	for _, said := range n.Bundles {
		old, known := next[said.Bundle]
		_, named := slices.BinarySearch(r.names, said.Bundle)
		weight := said.weight()
		grown := r.bytes + weight - weightOf(old, known)
		if weight > maxReport || said.Number <= old.Number || !known && said.Number < r.namesAt && !named || !known && len(next) >= maxBundles || grown > maxSaid {
			continue
		}
		r.bytes, next[said.Bundle], urgent = grown, said, true
		b.touched(r, said.Bundle)
	}
	return urgent
}

// hearNames drops the bundles that a member has no more.
func (b *board) hearNames(r *record, n news) {
	names := slices.DeleteFunc(n.Names, func(name string) bool { return len(name) > maxName })
	r.names, r.namesAt = names[:min(len(names), maxBundles)], n.NamesAt
	slices.Sort(r.names)
	b.touched(r, "")
	for name, old := range r.Bundles {
		if _, still := slices.BinarySearch(r.names, name); !still && old.Number < r.namesAt {
			r.bytes -= old.weight()
			delete(r.Bundles, name)
			delete(r.ticks, name)
		}
	}
}

func weightOf(r Bundle, known bool) int {
	if !known {
		return 0
	}
	return r.weight()
}

// item is one thing to tell: the head of a record, or a part of it.
type item struct {
	tick uint64
	id   store.MemberID
	head bool
	// facts, or else a bundle's name, or "" for all names.
	facts bool
	part  string
}

// compose says what the other end of a line has not been told, as much as one bulletin holds, and whether there is more.
// What it says counts as told: if it does not arrive, the line is at its end.
func (b *board) compose(l *line, now time.Time) (w bulletin, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.role == below && !b.root {
		w.AsOf = agedSince(b.sourced, now)
	}
	w.Looks = l.role == above && b.isLooked(now)
	w.News = append(w.News, b.newsOf(l, b.self, b.records[b.self], now))
	place := map[store.MemberID]int{b.self: 0}
	items := b.untold(l, now)
	size := 0
	for i, it := range items {
		if size >= fullBulletin {
			l.upTo(items[i-1].tick)
			return w, true
		}
		r := b.records[it.id]
		at, there := place[it.id]
		if !there {
			at = len(w.News)
			place[it.id] = at
			w.News = append(w.News, b.newsOf(l, it.id, r, now))
		}
		size += w.News[at].add(r, it, now)
	}
	l.upTo(b.tick)
	clear(l.arrears)
	return w, false
}

// upTo moves the line's count on.
func (l *line) upTo(tick uint64) {
	l.after = max(l.after, tick)
	for id := range l.arrears {
		l.arrears[id] = tick
	}
}

// untold lists what a line has not told, oldest first. The caller holds mu.
func (b *board) untold(l *line, now time.Time) (items []item) {
	for id, r := range b.records {
		tells := b.tells(l, id, r)
		if tells && !l.said[id] {
			l.said[id], l.arrears[id] = true, 0
		}
		after, behind := l.arrears[id]
		if !behind {
			after = l.after
		}
		switch {
		case r.latest <= after:
			continue
		case !tells && l.said[id]:
			delete(l.said, id)
			delete(l.arrears, id)
			items = append(items, item{tick: r.head, id: id, head: true})
			continue
		case !tells:
			continue
		}
		if r.head > after {
			items = append(items, item{tick: r.head, id: id, head: true})
		}
		if r.facts > after {
			items = append(items, item{tick: r.facts, id: id, facts: true})
		}
		for part, tick := range r.ticks {
			if tick > after {
				items = append(items, item{tick: tick, id: id, part: part})
			}
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.tick, b.tick) })
	return items
}

// tells says whether a line tells of a member: of itself, and of those whom others than its other end claim, below or
// anywhere. Followers are also told of those whom nobody claims any more.
func (b *board) tells(l *line, id store.MemberID, r *record) bool {
	switch {
	case id == b.self || id == l.peer:
		return id == b.self
	case len(r.claims) == 0:
		return l.role == below && r.number > 0
	}
	for from, c := range r.claims {
		if l.passes(from, c) {
			return true
		}
	}
	return false
}

// passes says whether what came on a line is passed on to this one.
func (l *line) passes(from *line, c claim) bool {
	return from.peer != l.peer && (l.role == below || from.role == below) && c.hops < maxHops
}

// newsOf is the head of what is said of a member on a line.
func (b *board) newsOf(l *line, id store.MemberID, r *record, now time.Time) news {
	n := news{ID: id, Number: r.number, Revision: r.Revision, Vitals: r.Vitals, Told: r.told}
	if r.told > 0 {
		n.ToldAge = agedSince(r.ToldAt, now)
	}
	if id == b.self && l.role != below {
		return n
	}
	n.Vitals = r.Vitals.brief()
	if id == b.self {
		return n
	}
	n.Age, n.Silent, n.Hops = agedSince(r.seen(id).At, now), true, maxHops
	for from, c := range r.claims {
		if l.passes(from, c) && !c.silent && now.Sub(c.time(from, id)) < UnreachableAfter {
			n.Silent, n.Hops = false, min(n.Hops, c.hops+1)
		}
	}
	if n.Silent {
		n.Hops = 0
	}
	return n
}

// add puts an item's content into the news, and says about how many bytes that is.
func (n *news) add(r *record, it item, now time.Time) int {
	switch {
	case it.head:
		return 256
	case it.facts:
		n.Facts, n.FactsAt, n.FactsAge = r.Facts, r.factsNo, agedSince(r.FactsAt, now)
		return len(r.Facts)
	case it.part == "":
		n.Names, n.NamesAt = r.names, r.namesAt
		return 64 * len(r.names)
	}
	said := r.Bundles[it.part]
	n.Bundles = append(n.Bundles, said)
	return said.weight()
}
