package store

import (
	"sync/atomic"
	"weak"
)

// entry is one key of the tree. It is never changed once made.
type entry struct {
	key               string
	created, modified Revision
	value             []byte
	large             *large // instead of value
}

// large is a value made of chunks. It is put together when someone reads it. What was put together is shared by
// readers until the garbage collector next runs, so that a value of 8 MiB does not stay in memory twice, and a burst
// of readers after a change pays once.
type large struct {
	hashes []Hash
	parts  [][]byte
	size   int
	whole  atomic.Pointer[weak.Pointer[[]byte]]
}

func newLarge(hashes []Hash, parts [][]byte) *large {
	l := &large{hashes: hashes, parts: parts}
	for _, p := range parts {
		l.size += len(p)
	}
	return l
}

// bytes may be called from any goroutine; two that come first at once both assemble, which is harmless.
func (l *large) bytes() []byte {
	if w := l.whole.Load(); w != nil {
		if b := w.Value(); b != nil {
			return *b
		}
	}
	b := make([]byte, 0, l.size)
	for _, p := range l.parts {
		b = append(b, p...)
	}
	w := weak.Make(&b)
	l.whole.Store(&w)
	return b
}

func (e *entry) bytes() []byte {
	if e.large != nil {
		return e.large.bytes()
	}
	return e.value
}

func (e *entry) size() int {
	if e.large != nil {
		return e.large.size
	}
	return len(e.value)
}

func (e *entry) hashes() []Hash {
	if e == nil || e.large == nil {
		return nil
	}
	return e.large.hashes
}

func (e *entry) kv() KV {
	kv := e.head()
	kv.Value = e.bytes()
	return kv
}

// head is the KV without its value.
func (e *entry) head() KV { return KV{Key: e.key, Created: e.created, Modified: e.modified} }
