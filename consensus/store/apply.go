package store

import (
	"fmt"
	"slices"
)

// Asker is who wants a transaction.
type Asker struct {
	// Version that the fleet applies the log by: an Authorizer that is to judge otherwise from some version on can tell
	// by it.
	Version uint64
	Member  MemberID
	// Person is "" for the member itself.
	Person string
	// Leading says that the member decided it as the leader of the term that the log entry lies in.
	Leading bool
}

// Authorizer decides who may do what. It is called inside Apply, once the conditions hold, with the state before the
// transaction; values that were split are whole again in txn. It must be pure, its errors' texts included: every
// member must come to the same answer from the same arguments. Its error becomes a *Forbidden.
type Authorizer interface {
	Authorize(v *View, who Asker, txn Txn) error
}

// Forgetter is what an Authorizer may be besides: it says that a transaction is to make something unreadable, so that the history
// which watches are served from begins anew behind it. The history is no part of the state, so no version switches this.
type Forgetter interface {
	Forgets(who Asker, txn Txn) bool
}

// machine applies the commands of one entry, one after the other.
type machine struct {
	auth    Authorizer
	term    uint64
	applies uint64 // the newest version that the program can apply
	view    View
	history []record // of the revisions made
	forgets Revision // the last of them that the history is to begin behind
	pending pending
	stop    error // why nothing more may be applied, and nothing of the entry was
}

// apply makes one step. Time passes even when the command is refused.
func (m *machine) apply(c *Command) Result {
	m.view.advance(c)
	r := m.answer(c)
	m.view.chunks = m.view.chunks.expire(m.view.time)
	return r
}

func (m *machine) answer(c *Command) Result {
	if err := m.refused(c); err != nil {
		return m.unchanged(err)
	}
	if c.Txn == nil {
		// Doing it again is harmless, so the outcome is not remembered.
		m.view.chunks = m.view.chunks.write(c.Chunk, m.view.time)
		return m.unchanged(nil)
	}
	if r, known := m.session(c.ID.Incarnation).recall(c.ID.Seq); known {
		if r.Err == ErrTooOld {
			return m.unchanged(ErrTooOld)
		}
		return r
	}
	r := m.decide(c)
	if _, missing := r.Err.(*MissingChunks); !missing {
		m.remember(c, r)
	}
	return r
}

// refused holds the rules that need no outcome to be remembered: a command without shape never has any, and one of a
// proposer that is no member has not been applied, should it be repeated when that one is.
func (m *machine) refused(c *Command) error {
	if err := c.invalid(); err != nil {
		return err
	}
	if c.Version > m.view.version {
		return invalidf("command of version %d in a fleet at version %d", c.Version, m.view.version)
	}
	_, member := m.view.roster.members.Get([]byte(c.Proposer))
	founding := m.view.roster.members.Len() == 0
	if founding {
		m.settle()
	}
	switch {
	case !member && !founding:
		return &Forbidden{Reason: cut(fmt.Sprintf("%s is not a member", c.Proposer))}
	case c.ID.Seq != 0 && c.ID.Incarnation != c.Proposer:
		return &Forbidden{Reason: cut(fmt.Sprintf("command of %s proposed by %s", c.ID.Incarnation, c.Proposer))}
	case c.ID.Seq != 0 && founding && m.view.sessions.full(c.ID):
		return &Forbidden{Reason: "too many proposers before the first member"}
	}
	return nil
}

// decide checks a transaction in a fixed order and applies it.
func (m *machine) decide(c *Command) Result {
	if c.Term != 0 && (c.Term != m.term || c.Epoch != m.view.epoch.ID) {
		return m.unchanged(ErrStaleTerm)
	}
	if conflict := m.conflict(*c.Txn); conflict != nil {
		return m.unchanged(conflict)
	}
	if missing := m.view.chunks.missing(c.Txn.Then); len(missing) > 0 {
		return m.unchanged(&MissingChunks{Hashes: missing})
	}
	values, whole, err := m.assemble(*c.Txn)
	if err == nil {
		err = m.view.roster.check(whole.Then)
	}
	if err == nil {
		err = m.view.checkVersion(whole.Then)
	}
	if err != nil {
		return m.unchanged(err)
	}
	if err := m.authorize(c, whole); err != nil {
		return m.unchanged(err)
	}
	r := m.commit(c.Txn.Then, values)
	if f, ok := m.auth.(Forgetter); ok && r.Err == nil && f.Forgets(m.asker(c), whole) {
		m.forgets = m.view.revision
	}
	return r
}

func (m *machine) asker(c *Command) Asker {
	return Asker{Version: m.view.version, Member: c.Proposer, Person: c.Person, Leading: c.Term != 0}
}

// assemble finds the chunks of the large values; whole is the transaction with those values in their places.
func (m *machine) assemble(txn Txn) (values []*large, whole Txn, err *Invalid) {
	values = make([]*large, len(txn.Then))
	total := 0
	for i, op := range txn.Then {
		size := len(op.Value)
		if len(op.Chunks) > 0 {
			values[i] = m.view.chunks.assemble(op.Chunks)
			size = values[i].size
		}
		if size > MaxValue {
			return nil, txn, invalidSize(op.Key, size)
		}
		total += size
	}
	if err := invalidTotal(total); err != nil {
		return nil, txn, err
	}
	whole = Txn{If: txn.If, Then: slices.Clone(txn.Then)}
	for i, l := range values {
		if l != nil {
			whole.Then[i].Value, whole.Then[i].Chunks = l.bytes(), nil
		}
	}
	return values, whole, nil
}

func (m *machine) authorize(c *Command, txn Txn) error {
	if m.auth == nil {
		return nil
	}
	m.settle()
	before := m.view
	if err := m.auth.Authorize(&before, m.asker(c), txn); err != nil {
		return forbidden(err)
	}
	return nil
}

// commit cannot fail any more.
func (m *machine) commit(ops []Op, values []*large) Result {
	rev := m.view.revision + 1
	changes := m.put(rev, ops, values)
	if len(changes) == 0 {
		return m.unchanged(nil)
	}
	m.view.revision = rev
	m.view.chunks = m.view.chunks.recount(changes)
	m.view.terms = m.view.terms.follow(changes)
	m.enrol(changes)
	m.raise(changes)
	m.history = append(m.history, record{revision: rev, changes: changes})
	return Result{Revision: rev}
}

// put changes the tree and says what changed.
func (m *machine) put(rev Revision, ops []Op, values []*large) []change {
	var changes []change
	txn := m.keys()
	for i, op := range ops {
		prev, had := txn.Get([]byte(op.Key))
		if op.Delete {
			if had {
				txn.Delete([]byte(op.Key))
				changes = append(changes, change{key: op.Key, prev: prev})
			}
			continue
		}
		e := &entry{key: op.Key, created: rev, modified: rev, value: m.next(op.Value), large: values[i]}
		if had {
			e.created = prev.created
		}
		txn.Insert([]byte(op.Key), e)
		changes = append(changes, change{key: op.Key, entry: e, prev: prev})
	}
	return changes
}

// recount refers to the chunks of the new values before it releases those of the old, so that what both share stays.
func (c chunks) recount(changes []change) chunks {
	for _, ch := range changes {
		for _, h := range ch.entry.hashes() {
			c = c.refer(h)
		}
	}
	for _, ch := range changes {
		for _, h := range ch.prev.hashes() {
			c = c.release(h)
		}
	}
	return c
}

// enrol takes over what changed in the membership: those who are no members lose their sessions.
func (m *machine) enrol(changes []change) {
	touched := false
	for _, ch := range changes {
		if !isRoster(ch.key) {
			continue
		}
		touched = true
		if ch.entry == nil {
			m.view.roster = m.view.roster.delete(ch.key)
			continue
		}
		m.view.roster = m.view.roster.put(ch.key, ch.entry.bytes())
	}
	if touched && m.view.roster.members.Len() > 0 {
		m.view.epoch = m.view.epoch.orFirst(m.view.roster, m.view.revision)
		m.closeSession()
		m.view.sessions = m.view.sessions.keepMembers(m.view.roster)
	}
}

// remember keeps the outcome, unless the command ended its own proposer's membership.
func (m *machine) remember(c *Command, r Result) {
	_, member := m.view.roster.members.Get([]byte(c.Proposer))
	if member || m.view.roster.members.Len() == 0 {
		m.session(c.ID.Incarnation).remember(c.ID.Seq, r)
	}
}

// unchanged is the outcome of a command that changes nothing.
func (m *machine) unchanged(err error) Result { return Result{Revision: m.view.revision, Err: err} }
