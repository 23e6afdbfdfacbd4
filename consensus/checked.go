package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// What raft keeps its term and vote under.
var (
	keyCurrentTerm  = []byte("CurrentTerm")
	keyLastVoteTerm = []byte("LastVoteTerm")
)

// checkStores reads all that lies on the stores and that will be used, and returns stores that check it again whenever
// it is read. The error is a DamagedError when it is not what was written; then nothing was written by it.
func checkStores(s Stores) (Stores, error) {
	newest := new(atomic.Uint64)
	l := &ledger{writing: newTurn(), newest: newest.Load}
	snaps := checkedSnapshots{s.Snapshots, newest}
	log, vals := checkedLog{l, s.Log}, checkedValues{l, s.Stable}
	snapshot, err := snaps.verify()
	if err != nil {
		return Stores{}, err
	}
	if snapshot == nil {
		snapshot = new(raft.SnapshotMeta)
	}
	h, err := log.readHead()
	if err != nil {
		return Stores{}, err
	}
	v, err := vals.read()
	if err != nil {
		return Stores{}, err
	}
	if h == nil || v == nil || !h.begun {
		err = create(log, vals, h, v, snapshot.Index)
	} else if err = resume(log, vals, *h, *v, snapshot); err == nil {
		err = log.overtaken(position{snapshot.Index, snapshot.Term})
	}
	if err != nil {
		return Stores{}, err
	}
	return Stores{Log: log, Stable: vals, Snapshots: snaps}, nil
}

// readHead returns nil when there is none.
func (s checkedLog) readHead() (*head, error) {
	var l raft.Log
	err := s.inner.GetLog(0, &l)
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := unseal(0, &l); err != nil {
		return nil, err
	}
	h, err := parseHead(&l)
	return &h, err
}

// create begins a disk, or goes on where a crash cut that short:
//
//	nothing → head → values → head that says so
//
// From then on neither may be missing.
func create(log checkedLog, vals checkedValues, h *head, v *values, snapshot uint64) error {
	last, err := log.inner.LastIndex()
	switch {
	case err != nil:
		return err
	case h == nil && v != nil, h == nil && (last > 0 || snapshot > 0):
		return damagedLog(0, "the head of the log is missing")
	case h != nil && h.begun:
		return damagedValues("their record", "it is missing")
	case h == nil:
		h = &head{}
		if err := log.store(*h, make([]*raft.Log, 1)); err != nil {
			return err
		}
	default:
		log.set(*h)
	}
	if v == nil {
		v = &values{byKey: map[string][]byte{}}
		if err := vals.write(*v); err != nil {
			return err
		}
	}
	begun := log.state()
	begun.begun = true
	return log.store(begun, make([]*raft.Log, 1))
}

// resume checks a disk that was begun, and finishes a cut that a crash interrupted.
func resume(log checkedLog, vals checkedValues, h head, v values, snapshot *raft.SnapshotMeta) error {
	log.set(h)
	log.values = v.writes
	if err := witness(h, v); err != nil {
		return err
	}
	if err := plausible(h, v, snapshot); err != nil {
		return err
	}
	if err := log.verify(); err != nil {
		return err
	}
	if h.cutTo == 0 {
		return nil
	}
	if err := log.inner.DeleteRange(h.cutFrom, h.cutTo); err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	h.cutFrom, h.cutTo = 0, 0
	return log.store(h, make([]*raft.Log, 1))
}

// witness compares what head and values say of each other's age.
func witness(h head, v values) error {
	switch {
	case v.ofLog > h.writes:
		return damagedLog(0, "the log is of its write %d, the values have seen write %d", h.writes, v.ofLog)
	case h.ofValues > v.writes:
		return damagedValues("their record", "it is of write %d, the log has seen write %d", v.writes, h.ofValues)
	}
	return nil
}

// plausible says whether log, values and newest snapshot belong to each other.
func plausible(h head, v values, snapshot *raft.SnapshotMeta) error {
	number := func(k []byte) uint64 {
		if b := v.byKey[string(k)]; len(b) == 8 {
			return binary.BigEndian.Uint64(b)
		}
		return 0
	}
	term := number(keyCurrentTerm)
	switch {
	case h.last > 0 && h.first > snapshot.Index+1:
		return damagedLog(h.first, "the log begins here, and the newest snapshot is of entry %d", snapshot.Index)
	case number(keyApplied) > max(h.last, snapshot.Index):
		return damagedLog(h.last, "the log ends here, and entry %d was applied", number(keyApplied))
	case term < h.term || term < snapshot.Term || term < number(keyLastVoteTerm):
		return damagedValues(string(keyCurrentTerm), "it is %d, older than the log, the snapshot or the vote", term)
	}
	return nil
}

// verify reads the whole log.
func (s checkedLog) verify() error {
	h := s.state()
	last, err := s.inner.LastIndex()
	if err != nil {
		return err
	}
	if last != h.last && (last < h.last || last > h.cutTo) {
		return damagedLog(last, "the log ends here, and its head says at %d", h.last)
	}
	term := uint64(0)
	for i := h.first; i <= h.last && i > 0; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			return err
		}
		if l.Term < term {
			return damagedLog(i, "its term %d is older than the one before it", l.Term)
		}
		term = l.Term
	}
	if term != h.term {
		return damagedLog(h.last, "its term is %d, and the head of the log says %d", term, h.term)
	}
	return nil
}
