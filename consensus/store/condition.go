package store

// conflict finds the first condition that does not hold.
func (v *View) conflict(conditions []Condition) *Conflict {
	for i, c := range conditions {
		if holds, current := v.judge(c); !holds {
			return &Conflict{Index: i, Condition: c, Current: current}
		}
	}
	return nil
}

// judge returns also the head of the key that speaks against the condition.
func (v *View) judge(c Condition) (holds bool, current *KV) {
	key := c.Key
	switch c.Kind {
	case conditionKeyAt:
		head := v.head(key)
		return head != nil && head.Modified == c.Revision, head
	case conditionKeyAbsent:
		head := v.head(key)
		return head == nil, head
	case conditionPrefixUnchanged:
		// A revision that does not exist yet is none that the asker can have seen here.
		if c.Revision < v.recent.floor || c.Revision > v.revision {
			return false, nil
		}
		key, changed := v.recent.changed(c.Key, c.Revision)
		return !changed, v.head(key)
	}
	return false, nil
}

func (v *View) head(key string) *KV {
	e, ok := v.keys.Get([]byte(key))
	if !ok {
		return nil
	}
	kv := e.head()
	return &kv
}
