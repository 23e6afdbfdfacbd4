package store

import iradix "github.com/hashicorp/go-immutable-radix/v2"

// pending is what the commands of one entry have changed and the view does not show yet. A tree's transaction copies
// each of its nodes once, however many commands of the entry change it; so the trees that every command changes are
// settled once an entry, or sooner when somebody has to see a whole view.
type pending struct {
	keys    *iradix.Txn[*entry]
	recent  int // how many records of machine.history the view's recent has
	session *openSession
}

// keys are those of the view with all that is pending.
func (m *machine) keys() *iradix.Txn[*entry] {
	if m.pending.keys == nil {
		m.pending.keys = m.view.keys.Txn()
	}
	return m.pending.keys
}

// session is the one of an incarnation. The commands of an entry come in runs of one proposer each.
func (m *machine) session(id MemberID) *openSession {
	if m.pending.session == nil || m.pending.session.id != id {
		m.closeSession()
		m.pending.session = m.view.sessions.open(id)
	}
	return m.pending.session
}

func (m *machine) closeSession() {
	if m.pending.session != nil {
		m.view.sessions = m.view.sessions.put(m.pending.session)
		m.pending.session = nil
	}
}

func (m *machine) settleRecent() {
	if added := m.history[m.pending.recent:]; len(added) > 0 {
		m.view.recent = m.view.recent.add(added)
		m.pending.recent = len(m.history)
	}
}

// settle makes the view whole.
func (m *machine) settle() {
	if m.pending.keys != nil {
		m.view.keys = m.pending.keys.Commit()
		m.pending.keys = nil
	}
	m.settleRecent()
	m.closeSession()
}
