package store

// conflict finds the first condition that does not hold.
func (m *machine) conflict(conditions []Condition) *Conflict {
	for i, c := range conditions {
		if holds, current := m.judge(c); !holds {
			return &Conflict{Index: i, Condition: c, Current: current}
		}
	}
	return nil
}

// judge returns also the head of the key that speaks against the condition.
func (m *machine) judge(c Condition) (holds bool, current *KV) {
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
		key, changed := m.view.recent.changed(c.Key, c.Revision)
		return !changed, m.head(key)
	}
	return false, nil
}

func (m *machine) head(key string) *KV {
	e, ok := m.keys().Get([]byte(key))
	if !ok {
		return nil
	}
	kv := e.head()
	return &kv
}
