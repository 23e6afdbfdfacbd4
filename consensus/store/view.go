package store

import (
	"iter"
	"slices"
	"strings"
	"time"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// View is the whole state at one revision. It never changes, costs nothing to hold but memory, and may be read from
// any goroutine. What it returns must not be changed.
type View struct {
	revision Revision
	time     int64
	version  uint64 // that the fleet applies the log by
	index    uint64 // of the last log entry applied
	epoch    Epoch
	keys     *iradix.Tree[*entry]
	chunks   chunks
	recent   recent
	sessions sessions
	roster   roster
	terms    terms
}

func newView(auth Authorizer) *View {
	return &View{
		version:  firstVersion,
		keys:     iradix.New[*entry](),
		chunks:   newChunks(),
		recent:   newRecent(),
		sessions: newSessions(),
		roster:   newRoster(),
		terms:    newTerms(auth),
	}
}

// Revision is the number of transactions that changed the store so far.
func (v *View) Revision() Revision { return v.revision }

// Lacks returns those of the chunks that the store does not hold.
func (v *View) Lacks(chunks []Chunk) []Chunk {
	var lacks []Chunk
	for _, c := range chunks {
		if _, there := v.chunks.get(c.Hash); !there {
			lacks = append(lacks, c)
		}
	}
	return lacks
}

// Index is that of the last log entry that was applied, 0 before the first. It counts entries, not changes: compare it
// with indexes of the log only.
func (v *View) Index() uint64 { return v.index }

// Time is the latest time that a leader stamped on a command; zero before the first. It never goes back.
func (v *View) Time() time.Time {
	if v.time == 0 {
		return time.Time{}
	}
	return time.Unix(0, v.time).UTC()
}

// Get returns one key.
func (v *View) Get(key string) (KV, bool) {
	e, ok := v.keys.Get([]byte(key))
	if !ok {
		return KV{}, false
	}
	return e.kv(), true
}

// AsSeen holds while a key is as this view has it: not changed, or still not there.
func (v *View) AsSeen(key string) Condition {
	if at, there := v.Modified(key); there {
		return KeyAt(key, at)
	}
	return KeyAbsent(key)
}

// Has says whether a key is there. A large value is not put together for it.
func (v *View) Has(key string) bool {
	_, there := v.keys.Get([]byte(key))
	return there
}

// Modified is the revision that wrote a key last. A large value is not put together for it.
func (v *View) Modified(key string) (at Revision, there bool) {
	e, there := v.keys.Get([]byte(key))
	if !there {
		return 0, false
	}
	return e.modified, true
}

// List returns the keys with the prefix, in order.
func (v *View) List(prefix string) []KV {
	var all []KV
	for kv := range v.Iterate(prefix, "") {
		all = append(all, kv)
	}
	return all
}

// Iterate goes over the keys with the prefix that are not before from, in order. With from "" it begins at the first.
func (v *View) Iterate(prefix, from string) iter.Seq[KV] {
	return func(yield func(KV) bool) {
		for e := range v.entries(prefix, from) {
			if !yield(e.kv()) {
				return
			}
		}
	}
}

// Changed goes over the keys with the prefix that were written or deleted after a revision, one as often as it was; false when that is too
// long ago to be known.
func (v *View) Changed(prefix string, since Revision) (keys iter.Seq[string], known bool) {
	return v.recent.changed(prefix, since), v.recent.floor <= since && since <= v.revision
}

// Written says that a key with one of the prefixes was written or deleted after a revision, or that this is too long ago to be known.
func (v *View) Written(prefixes []string, since Revision) bool {
	changed, known := v.Changed("/", since)
	if !known {
		return true
	}
	for key := range changed {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			return true
		}
	}
	return false
}

// Count returns how many keys have the prefix.
func (v *View) Count(prefix string) int {
	n := 0
	for range v.entries(prefix, "") {
		n++
	}
	return n
}

func (v *View) entries(prefix, from string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		it := v.keys.Root().Iterator()
		it.SeekLowerBound([]byte(max(prefix, from)))
		for _, e, ok := it.Next(); ok && strings.HasPrefix(e.key, prefix); _, e, ok = it.Next() {
			if !yield(e) {
				return
			}
		}
	}
}

// advance never lets time go back.
func (v *View) advance(c *Command) {
	v.time = max(v.time, c.Time)
}
