package consensus

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// ledger is what the checked log and the checked values know of each other. Both are written by nobody else.
type ledger struct {
	// writing is held during a write to the disk.
	writing turn

	mu     sync.Mutex // a leaf
	head   head
	values uint64        // how often the values were written
	newest func() uint64 // index of the newest snapshot
}

func (l *ledger) state() head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

func (l *ledger) set(h head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = h
}

// checkedLog is a raft.LogStore that gives back what was stored, or a DamagedError. Its log has no gaps: when raft goes
// on behind a snapshot that it was sent, what is before it goes.
type checkedLog struct {
	*ledger
	inner raft.LogStore
}

func (s checkedLog) FirstIndex() (uint64, error) { return s.state().first, nil }
func (s checkedLog) LastIndex() (uint64, error)  { return s.state().last, nil }

func (h head) holds(index uint64) bool { return h.first <= index && index <= h.last && index > 0 }

// GetLog answers raft.ErrLogNotFound only for an index that the log does not have.
func (s checkedLog) GetLog(index uint64, l *raft.Log) error {
	if !s.state().holds(index) {
		return raft.ErrLogNotFound
	}
	err := s.inner.GetLog(index, l)
	switch {
	case err == nil:
		return unseal(index, l)
	case !errors.Is(err, raft.ErrLogNotFound):
		return err
	case s.state().holds(index): // it was not cut off meanwhile
		return damagedLog(index, "it is missing")
	}
	return raft.ErrLogNotFound
}

func (s checkedLog) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

func (s checkedLog) StoreLogs(ls []*raft.Log) error {
	if len(ls) == 0 {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.makeRoom(ls[0].Index); err != nil {
		return err
	}
	h := s.state()
	if h.first == 0 {
		h.first = ls[0].Index
	}
	batch := make([]*raft.Log, 1, 1+len(ls))
	for i, l := range ls {
		if l.Index != ls[0].Index+uint64(i) {
			return fmt.Errorf("entry %d follows entry %d", l.Index, ls[i-1].Index)
		}
		h.last, h.term = l.Index, l.Term
		batch = append(batch, seal(l))
	}
	h.cutFrom, h.cutTo = 0, 0
	return s.store(h, batch)
}

// makeRoom sees to it that an entry can be appended.
func (s checkedLog) makeRoom(index uint64) error {
	h, snapshot := s.state(), s.newest()
	switch {
	case index == 0 || h.last > 0 && index <= h.last:
		return fmt.Errorf("entry %d would be written over", index)
	case h.last > 0 && index == h.last+1:
		return nil
	case index > snapshot+1:
		return fmt.Errorf("entry %d would leave a gap behind entry %d and snapshot %d", index, h.last, snapshot)
	case h.last > 0:
		return s.cut(h.first, h.last)
	}
	return nil
}

// store writes a head and what follows it in the batch, in one transaction.
func (s checkedLog) store(h head, batch []*raft.Log) error {
	h.writes++
	s.mu.Lock()
	h.ofValues = s.values
	s.mu.Unlock()
	batch[0] = seal(h.log())
	if err := s.inner.StoreLogs(batch); err != nil {
		return err
	}
	s.set(h)
	return nil
}

// DeleteRange takes the beginning or the end off the log, as raft does.
func (s checkedLog) DeleteRange(low, high uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	h := s.state()
	low, high = max(low, h.first), min(high, h.last)
	switch {
	case h.last == 0 || low > high:
		return nil
	case low > h.first && high < h.last:
		return fmt.Errorf("entries %d to %d are in the middle of the log", low, high)
	}
	return s.cut(low, high)
}

// cut writes first what it is about to do, so that a crash in the middle is no damage.
func (s checkedLog) cut(low, high uint64) error {
	h, err := s.without(low, high)
	if err != nil {
		return err
	}
	if err := s.store(h, make([]*raft.Log, 1)); err != nil {
		return err
	}
	return s.inner.DeleteRange(low, high)
}

func (s checkedLog) without(low, high uint64) (head, error) {
	h := s.state()
	h.cutFrom, h.cutTo = low, high
	switch {
	case low == h.first && high == h.last:
		h.first, h.last, h.term = 0, 0, 0
	case low == h.first:
		h.first = high + 1
	default:
		var before raft.Log
		if err := s.GetLog(low-1, &before); err != nil {
			return h, err
		}
		h.last, h.term = low-1, before.Term
	}
	return h, nil
}

// overtaken drops a log that does not have the last entry of the newest snapshot, and does not begin behind it either:
// another member's snapshot came over it, and a crash before raft had dropped it.
func (s checkedLog) overtaken(snapshot position) error {
	h := s.state()
	if snapshot.index == 0 || h.last == 0 || h.first == snapshot.index+1 {
		return nil
	}
	if h.holds(snapshot.index) {
		var l raft.Log
		if err := s.GetLog(snapshot.index, &l); err != nil || l.Term == snapshot.term {
			return err
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.cut(h.first, h.last)
}
