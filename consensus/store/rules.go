package store

import "strings"

// checkRoster holds the rules of the membership against a transaction's ops, each key once:
//
//   - an id or a pin that was removed never comes back, and no two members share a pin
//   - a member's pin never changes
//   - a member is deleted together with the writing of its Removed, and neither happens alone
//   - a Removed is never changed or deleted
//   - the last member stays, and there are at most MaxMembers
func (r roster) check(ops []Op) *Invalid {
	byKey := map[string]Op{}
	for _, op := range ops {
		if isRoster(op.Key) {
			byKey[op.Key] = op
		}
	}
	if len(byKey) == 0 {
		return nil
	}
	count, pins := r.members.Len(), map[Pin]MemberID{}
	for _, op := range ops {
		change, err := r.checkOp(op, byKey, pins)
		if err != nil {
			return err
		}
		count += change
	}
	switch {
	case count == 0 && r.members.Len() > 0:
		return invalidf("the last member cannot be removed")
	case count > MaxMembers:
		return invalidf("a fleet has at most %d members", MaxMembers)
	}
	return nil
}

// checkOp returns by how many members the op changes the fleet.
func (r roster) checkOp(op Op, byKey map[string]Op, pins map[Pin]MemberID) (int, *Invalid) {
	switch {
	case !isRoster(op.Key):
		return 0, nil
	case strings.HasPrefix(op.Key, KeyRemoved):
		return 0, r.checkRemoved(op, byKey)
	case op.Delete:
		return r.checkLeaving(op, byKey)
	}
	return r.checkMember(op, pins)
}

func (r roster) checkMember(op Op, pins map[Pin]MemberID) (int, *Invalid) {
	m, err := parseMember(op.Key, op.Value)
	if err != nil {
		return 0, err
	}
	if _, gone := r.removed.Get([]byte(m.ID)); gone {
		return 0, invalidf("member %s was removed", m.ID)
	}
	if other, taken := pins[m.Pin]; taken {
		return 0, invalidf("members %s and %s have one pin", other, m.ID)
	}
	pins[m.Pin] = m.ID
	if o, known := r.pins.Get(m.Pin[:]); known && o.removed {
		return 0, invalidf("pin of member %s was removed with member %s", m.ID, o.id)
	} else if known && o.id != m.ID {
		return 0, invalidf("pin of member %s is that of member %s", m.ID, o.id)
	}
	old, was := r.members.Get([]byte(m.ID))
	if was && old.Pin != m.Pin {
		return 0, invalidf("pin of member %s cannot change", m.ID)
	}
	if was {
		return 0, nil
	}
	return 1, nil
}

func (r roster) checkLeaving(op Op, byKey map[string]Op) (int, *Invalid) {
	id := strings.TrimPrefix(op.Key, KeyMembers)
	if _, was := r.members.Get([]byte(id)); !was {
		return 0, nil
	}
	if gone, ok := byKey[KeyRemoved+id]; !ok || gone.Delete {
		return 0, invalidf("%s is deleted without %s%s being written", op.Key, KeyRemoved, id)
	}
	return -1, nil
}

func (r roster) checkRemoved(op Op, byKey map[string]Op) *Invalid {
	if op.Delete {
		return invalidf("%s cannot be deleted", op.Key)
	}
	gone, err := parseRemoved(op.Key, op.Value)
	if err != nil {
		return err
	}
	if _, again := r.removed.Get([]byte(gone.ID)); again {
		return invalidf("%s cannot be changed", op.Key)
	}
	old, was := r.members.Get([]byte(gone.ID))
	if leaving, ok := byKey[KeyMembers+string(gone.ID)]; !was || !ok || !leaving.Delete {
		return invalidf("%s is written without a member being deleted", op.Key)
	}
	if old.Pin != gone.Pin {
		return invalidf("%s has another pin than the member", op.Key)
	}
	return nil
}
