package store

import (
	"strings"
	"sync"
)

// change is one key of a revision. entry is nil when it was deleted, prev when it was not there before.
type change struct {
	key         string
	entry, prev *entry
}

// size is what the change keeps in memory at most; chunks that values share count for each.
func (c change) size() int {
	n := len(c.key)
	for _, e := range []*entry{c.entry, c.prev} {
		if e != nil {
			n += e.size()
		}
	}
	return n
}

// record is one revision.
type record struct {
	revision Revision
	changes  []change
}

func (r record) size() (n int) {
	for _, c := range r.changes {
		n += c.size()
	}
	return n
}

func (r record) keys() []string {
	keys := make([]string, len(r.changes))
	for i, c := range r.changes {
		keys[i] = c.key
	}
	return keys
}

// history is the ring of the last revisions, which watchers read from, and the place where they wait. Each revision
// after base has its record.
type history struct {
	maxEvents, maxBytes int

	mu      sync.Mutex
	records []record // consecutive revisions; [0] is base+1
	base    Revision
	events  int
	bytes   int
	// restored is the revision that the latest Restore brought, era how many there were.
	restored Revision
	era      int
	changed  chan struct{} // closed at the next change
}

func newHistory() *history {
	return &history{maxEvents: maxHistoryEvents, maxBytes: maxHistoryBytes, changed: make(chan struct{})}
}

// latest needs the lock.
func (h *history) latest() Revision { return h.base + Revision(len(h.records)) }

// add needs the lock.
func (h *history) add(records []record) {
	for _, r := range records {
		h.records = append(h.records, r)
		h.events += len(r.changes)
		h.bytes += r.size()
	}
	for len(h.records) > 1 && (h.events > h.maxEvents || h.bytes > h.maxBytes) {
		h.dropOldest()
	}
}

// forget drops all up to a revision, and that one. It needs the lock.
func (h *history) forget(through Revision) {
	for len(h.records) > 0 && h.base < through {
		h.dropOldest()
	}
}

// dropOldest needs the lock.
func (h *history) dropOldest() {
	h.events -= len(h.records[0].changes)
	h.bytes -= h.records[0].size()
	h.records[0] = record{}
	h.records = h.records[1:]
	h.base++
}

// reset needs the lock.
func (h *history) reset(to Revision) {
	h.records, h.base, h.events, h.bytes = nil, to, 0, 0
	h.restored = to
	h.era++
}

// wake needs the lock.
func (h *history) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// wait returns a channel that is closed at the next change.
func (h *history) wait() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// matching returns the changes of a record with the prefix.
func (r record) matching(prefix string) []change {
	var found []change
	for _, c := range r.changes {
		if strings.HasPrefix(c.key, prefix) {
			found = append(found, c)
		}
	}
	return found
}
