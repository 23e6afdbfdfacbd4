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

// recall returns the outcome of a command that was applied before, or may have been.
func (s sessions) recall(id CommandID) (Result, bool) {
	known, ok := s.byMember.Get([]byte(id.Incarnation))
	if !ok || id.Seq == 0 {
		return Result{}, false
	}
	if id.Seq < known.oldest() {
		return Result{Err: ErrTooOld}, true
	}
	return known.outcomes.Get(sequenceKey(id.Seq))
}

// remember keeps an outcome and forgets those that leave the window.
func (s sessions) remember(id CommandID, r Result) sessions {
	if id.Seq == 0 {
		return s
	}
	known, ok := s.byMember.Get([]byte(id.Incarnation))
	if !ok {
		known = session{outcomes: iradix.New[Result]()}
	}
	known.newest = max(known.newest, id.Seq)
	known.outcomes, _, _ = known.outcomes.Insert(sequenceKey(id.Seq), r)
	for {
		key, _, _ := known.outcomes.Root().Minimum()
		if binary.BigEndian.Uint64(key) >= known.oldest() {
			break
		}
		known.outcomes, _, _ = known.outcomes.Delete(key)
	}
	s.byMember, _, _ = s.byMember.Insert([]byte(id.Incarnation), known)
	return s
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
