package store

import (
	"encoding/binary"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// sessions remember the outcomes of each incarnation's commands, so that a repeated command is answered and not
// applied again. Of each incarnation the last Window sequence numbers count: one in it without outcome was never
// applied, one before it is answered ErrTooOld. Only members have a session, and it goes with the member; while
// there are no members at all, at most MaxSessions incarnations have one.
type sessions struct{ byMember *iradix.Tree[session] }

type session struct {
	newest   uint64
	outcomes *iradix.Tree[Result] // sequence (8 bytes) → outcome
}

func newSessions() sessions { return sessions{byMember: iradix.New[session]()} }

func sequenceKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// oldest is the first sequence number of the window.
func (s session) oldest() uint64 {
	if s.newest < Window {
		return 1
	}
	return s.newest - Window + 1
}

// openSession is a session that changes, until it is put back.
type openSession struct {
	id       MemberID
	newest   uint64
	outcomes *iradix.Txn[Result]
	changed  bool
}

// open returns the session of an incarnation, an empty one when there is none.
func (s sessions) open(id MemberID) *openSession {
	known, ok := s.byMember.Get([]byte(id))
	if !ok {
		known = session{outcomes: iradix.New[Result]()}
	}
	return &openSession{id: id, newest: known.newest, outcomes: known.outcomes.Txn()}
}

// put takes an open session back.
func (s sessions) put(o *openSession) sessions {
	if o.changed {
		s.byMember, _, _ = s.byMember.Insert([]byte(o.id), session{newest: o.newest, outcomes: o.outcomes.Commit()})
	}
	return s
}

// recall returns the outcome of a command that was applied before, or may have been.
func (o *openSession) recall(seq uint64) (Result, bool) {
	if seq == 0 || o.newest == 0 {
		return Result{}, false
	}
	if seq < (session{newest: o.newest}).oldest() {
		return Result{Err: ErrTooOld}, true
	}
	return o.outcomes.Get(sequenceKey(seq))
}

// remember keeps an outcome and forgets those that leave the window.
func (o *openSession) remember(seq uint64, r Result) {
	if seq == 0 {
		return
	}
	o.changed = true
	o.newest = max(o.newest, seq)
	o.outcomes.Insert(sequenceKey(seq), r)
	oldest := (session{newest: o.newest}).oldest()
	for {
		key, _, _ := o.outcomes.Root().Minimum()
		if binary.BigEndian.Uint64(key) >= oldest {
			return
		}
		o.outcomes.Delete(key)
	}
}

// full says that one more incarnation cannot be remembered while there are no members.
func (s sessions) full(id CommandID) bool {
	_, ok := s.byMember.Get([]byte(id.Incarnation))
	return !ok && s.byMember.Len() >= MaxSessions
}

// keepMembers forgets every incarnation that is not a member.
func (s sessions) keepMembers(r roster) sessions {
	txn := s.byMember.Txn()
	it := s.byMember.Root().Iterator()
	for key, _, ok := it.Next(); ok; key, _, ok = it.Next() {
		if _, member := r.members.Get(key); !member {
			txn.Delete(key)
		}
	}
	s.byMember = txn.Commit()
	return s
}
