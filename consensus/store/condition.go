package store

// Indifferent is what an Authorizer may be besides: it says which changes are of no matter to a transaction that expects nothing to have
// changed under a prefix.
type Indifferent interface {
	// Indifferent is called inside Apply and is pure, as Authorize is; values that were split are not whole in txn. What it returns is asked
	// of each key that changed, as it is now: without a value, it was deleted.
	Indifferent(txn Txn) func(now KV) bool
}

// conflict finds the first condition that does not hold.
func (m *machine) conflict(txn Txn) *Conflict {
	for i, c := range txn.If {
		if holds, current := m.judge(c, txn); !holds {
			return &Conflict{Index: i, Condition: c, Current: current}
		}
	}
	return nil
}

// judge returns also the head of the key that speaks against the condition.
func (m *machine) judge(c Condition, txn Txn) (holds bool, current *KV) {
	key := c.Key
	switch c.Kind {
	case conditionKeyAt:
		head := m.head(key)
		return head != nil && head.Modified == c.Revision, head
	case conditionKeyAbsent:
		head := m.head(key)
		return head == nil, head
	case conditionPrefixUnchanged:
		m.settleRecent()
		// A revision that does not exist yet is none that the asker can have seen here.
		if c.Revision < m.view.recent.floor || c.Revision > m.view.revision {
			return false, nil
		}
		ofNoMatter := m.indifferent(txn)
		for key := range m.view.recent.changed(c.Key, c.Revision) {
			if !ofNoMatter(key) {
				return false, m.head(key)
			}
		}
		return true, nil
	}
	return false, nil
}

// indifferent says of a key that changed that it is of no matter to a transaction.
func (m *machine) indifferent(txn Txn) func(key string) bool {
	var judge func(KV) bool
	return func(key string) bool {
		law, ok := m.auth.(Indifferent)
		if !ok {
			return false
		}
		if judge == nil {
			judge = law.Indifferent(txn)
		}
		now := KV{Key: key}
		if e, there := m.keys().Get([]byte(key)); there {
			now = e.kv()
		}
		return judge(now)
	}
}

func (m *machine) head(key string) *KV {
	e, ok := m.keys().Get([]byte(key))
	if !ok {
		return nil
	}
	kv := e.head()
	return &kv
}
