package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"strings"
)

// model says what a store should do in the plainest words: maps, and a search through everything that ever happened.
type model struct {
	rev     Revision
	now     int64
	term    uint64
	epoch   string // of the first member there ever was
	keys    map[string]modelValue
	past    []modelChange
	chunks  map[Hash]modelChunk
	known   map[CommandID]Result
	newest  map[MemberID]uint64
	batches []Batch
}

type modelValue struct {
	KV
	chunks []Hash
}

type modelChange struct {
	rev Revision
	key string
}

type modelChunk struct {
	data    []byte
	written int64
	// used says that a key referred to it since it was written.
	used bool
}

func newModel() *model {
	return &model{
		keys: map[string]modelValue{}, chunks: map[Hash]modelChunk{},
		known: map[CommandID]Result{}, newest: map[MemberID]uint64{},
	}
}

// The outcomes that the model tells apart.
const (
	modelDone    = "done"
	modelRefused = "refused"
	modelFailed  = "failed"
	modelMissing = "missing"
	modelTooOld  = "too old"
)

func modelOutcome(err error) string {
	switch err.(type) {
	case nil:
		return modelDone
	case *Forbidden:
		return modelRefused
	case *MissingChunks:
		return modelMissing
	}
	if err == ErrTooOld {
		return modelTooOld
	}
	return modelFailed
}

func (m *model) apply(c Command) (Revision, string) {
	m.now = max(m.now, c.Time)
	defer m.collect()
	members := m.members(m.keys)
	if _, ok := members[c.Proposer]; len(members) > 0 && !ok {
		return m.rev, modelRefused
	}
	if c.Txn == nil {
		h := Hash(sha256.Sum256(c.Chunk))
		if old := m.chunks[h]; !old.used {
			m.chunks[h] = modelChunk{data: c.Chunk, written: m.now}
		}
		return m.rev, modelDone
	}
	if r, ok := m.known[c.ID]; ok && c.ID.Seq+Window > m.newest[c.ID.Incarnation] {
		return r.Revision, modelOutcome(r.Err)
	}
	if c.ID.Seq+Window <= m.newest[c.ID.Incarnation] {
		return m.rev, modelTooOld
	}
	outcome := m.decide(c)
	members = m.members(m.keys)
	if m.epoch == "" && len(members) > 0 {
		m.epoch = string(slices.Min(slices.Collect(maps.Keys(members))))
	}
	if outcome != modelMissing {
		if _, ok := members[c.Proposer]; ok || len(members) == 0 {
			m.remember(c.ID, outcome)
		}
	}
	m.forget(members)
	return m.rev, outcome
}

func (m *model) remember(id CommandID, outcome string) {
	r := Result{Revision: m.rev}
	if outcome == modelFailed {
		r.Err = ErrStaleTerm // any failure
	}
	m.known[id] = r
	m.newest[id.Incarnation] = max(m.newest[id.Incarnation], id.Seq)
}

func (m *model) forget(members map[MemberID]Pin) {
	if len(members) == 0 {
		return
	}
	gone := func(id MemberID) bool { _, ok := members[id]; return !ok }
	maps.DeleteFunc(m.known, func(id CommandID, _ Result) bool { return gone(id.Incarnation) })
	maps.DeleteFunc(m.newest, func(id MemberID, _ uint64) bool { return gone(id) })
}

func (m *model) decide(c Command) string {
	if c.Term != 0 && (c.Term != m.term || c.Epoch != m.epoch) {
		return modelFailed
	}
	for _, cond := range c.Txn.If {
		if !m.holds(cond) {
			return modelFailed
		}
	}
	for _, op := range c.Txn.Then {
		for _, h := range op.Chunks {
			if _, ok := m.chunks[h]; !ok {
				return modelMissing
			}
		}
	}
	after, batch := m.after(c.Txn.Then)
	if !m.allowed(m.keys, after) {
		return modelFailed
	}
	if len(batch.Events) > 0 {
		m.rev++
		m.keys = after
		m.batches = append(m.batches, batch)
		for _, e := range batch.Events {
			m.past = append(m.past, modelChange{m.rev, e.Key})
		}
		m.use()
	}
	return modelDone
}

func (m *model) holds(c Condition) bool {
	kv, ok := m.keys[c.Key]
	switch c.Kind {
	case conditionKeyAt:
		return ok && kv.Modified == c.Revision
	case conditionKeyAbsent:
		return !ok
	}
	return c.Revision <= m.rev && !slices.ContainsFunc(m.past, func(p modelChange) bool {
		return p.rev > c.Revision && strings.HasPrefix(p.key, c.Key)
	})
}

func (m *model) after(ops []Op) (map[string]modelValue, Batch) {
	after, batch := maps.Clone(m.keys), Batch{Revision: m.rev + 1}
	for _, op := range ops {
		old, had := after[op.Key]
		e := Event{Key: op.Key}
		if had {
			e.Prev = &old.KV
		}
		if op.Delete {
			delete(after, op.Key)
		} else {
			kv := KV{Key: op.Key, Value: op.Value, Created: m.rev + 1, Modified: m.rev + 1}
			if had {
				kv.Created = old.Created
			}
			for _, h := range op.Chunks {
				kv.Value = append(kv.Value, m.chunks[h].data...)
			}
			after[op.Key] = modelValue{kv, op.Chunks}
			e.Value = &kv
		}
		if e.Prev != nil || e.Value != nil {
			batch.Events = append(batch.Events, e)
		}
	}
	return after, batch
}

// allowed states the rules of the membership as what must be true of any two states, one after the other.
func (m *model) allowed(before, after map[string]modelValue) bool {
	was, is := m.members(before), m.members(after)
	gone, goneNow := m.removed(before), m.removed(after)
	if len(was) > 0 && len(is) == 0 {
		return false
	}
	owners := map[Pin]int{}
	for id, pin := range is {
		owners[pin]++
		if old, ok := was[id]; ok && old != pin {
			return false
		}
		if _, ok := goneNow[id]; ok {
			return false
		}
	}
	for id, pin := range goneNow {
		owners[pin]++
		key := KeyRemoved + string(id)
		if old, ok := gone[id]; ok && (old != pin || before[key].Modified != after[key].Modified) {
			return false
		} else if !ok && was[id] != pin {
			return false
		}
	}
	for _, n := range owners {
		if n > 1 {
			return false
		}
	}
	for id := range was {
		_, stays := is[id]
		_, written := goneNow[id]
		if !stays && !written {
			return false
		}
	}
	return true
}

func (m *model) members(keys map[string]modelValue) map[MemberID]Pin {
	return pinsUnder[Member](keys, KeyMembers, func(m Member) Pin { return m.Pin })
}

func (m *model) removed(keys map[string]modelValue) map[MemberID]Pin {
	return pinsUnder[Removed](keys, KeyRemoved, func(r Removed) Pin { return r.Pin })
}

func pinsUnder[T any](keys map[string]modelValue, prefix string, pin func(T) Pin) map[MemberID]Pin {
	found := map[MemberID]Pin{}
	for key, kv := range keys {
		if id, ok := strings.CutPrefix(key, prefix); ok {
			var v T
			if err := json.Unmarshal(kv.Value, &v); err != nil {
				panic(err)
			}
			found[MemberID(id)] = pin(v)
		}
	}
	return found
}

// use marks the chunks that keys refer to, and drops those that once were and are no more.
func (m *model) use() {
	used := map[Hash]bool{}
	for _, kv := range m.keys {
		for _, h := range kv.chunks {
			used[h] = true
		}
	}
	for h, ch := range m.chunks {
		if ch.used && !used[h] {
			delete(m.chunks, h)
		} else if used[h] {
			m.chunks[h] = modelChunk{data: ch.data, used: true}
		}
	}
}

func (m *model) collect() {
	maps.DeleteFunc(m.chunks, func(_ Hash, ch modelChunk) bool {
		return !ch.used && ch.written+int64(LooseTime) <= m.now
	})
}

func (m *model) list(prefix, from string) (all []KV) {
	for key, kv := range m.keys {
		if strings.HasPrefix(key, prefix) && key >= from {
			all = append(all, kv.KV)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Key < all[j].Key })
	return all
}

// hashes are of the chunks that should be there, in order.
func (m *model) hashes() []Hash {
	return slices.SortedFunc(maps.Keys(m.chunks), func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
}
