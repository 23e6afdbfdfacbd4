package sim

import (
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// audit sees every entry that any member writes to its log. It knows two laws of raft: what has the same index and
// term is the same everywhere, and a term begins with its leader's empty entry.
type audit struct {
	mu   sync.Mutex
	seen map[place]written
}

type place struct{ index, term uint64 }

type written struct {
	by  string
	sum [sha256.Size]byte
}

func newAudit() *audit { return &audit{seen: map[place]written{}} }

// forget is for a new epoch: what was written in the lost majority of the old one may be written anew.
func (a *audit) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.seen)
}

// same says who wrote another entry at the same place; "" for nobody.
func (a *audit) same(member string, l *raft.Log) string {
	sum := sha256.Sum256(append([]byte{byte(l.Type)}, l.Data...))
	at := place{l.Index, l.Term}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.seen[at]; ok && known.sum != sum {
		return known.by
	}
	a.seen[at] = written{by: member, sum: sum}
	return ""
}

// auditedLog shows the audit what raft writes.
type auditedLog struct {
	raft.LogStore
	audit  *audit
	member string
	wrong  func(check, format string, args ...any)
}

// StoreLog implements raft.LogStore.
func (s auditedLog) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (s auditedLog) StoreLogs(ls []*raft.Log) error {
	entries := slices.DeleteFunc(slices.Clone(ls), func(l *raft.Log) bool { return l.Index == 0 }) // what checks the log
	before := s.termBefore(entries)
	for _, l := range entries {
		if other := s.audit.same(s.member, l); other != "" {
			s.wrong("log", "%s and %s wrote two entries %d of term %d", other, s.member, l.Index, l.Term)
		}
		if before != 0 && l.Term != before && l.Type != raft.LogNoop {
			s.wrong("log", "%s wrote entry %d of term %d, which nobody had begun", s.member, l.Index, l.Term)
		}
		before = l.Term
	}
	return s.LogStore.StoreLogs(ls)
}

// termBefore is that of the entry before these, 0 when it is not there.
func (s auditedLog) termBefore(ls []*raft.Log) uint64 {
	var l raft.Log
	if len(ls) == 0 || ls[0].Index < 2 || s.LogStore.GetLog(ls[0].Index-1, &l) != nil {
		return 0
	}
	return l.Term
}
