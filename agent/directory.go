package agent

import (
	"context"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// directory tells transport whose pin is whose. Its truth is the log; until the log is here, it is what the fleet
// said when this member joined.
type directory struct {
	self   store.MemberID
	store  *store.Store
	joined []transport.JoinPeer
}

// Lookup implements transport.Directory.
func (d *directory) Lookup(pin transport.Pin) (transport.MemberID, transport.Standing) {
	v := d.store.View()
	if v.Revision() == 0 {
		for _, p := range d.joined {
			if p.Pin == pin {
				return p.ID, transport.Current
			}
		}
		return "", transport.Unknown
	}
	switch id, removed, ok := v.FindPin(store.Pin(pin)); {
	case !ok:
		return "", transport.Unknown
	case removed:
		return transport.MemberID(id), transport.Removed
	default:
		return transport.MemberID(id), transport.Current
	}
}

// Find implements transport.Directory.
func (d *directory) Find(id transport.MemberID) (transport.Peer, bool) {
	v := d.store.View()
	if v.Revision() == 0 {
		for _, p := range d.joined {
			if p.ID == id {
				return transport.Peer{Pin: p.Pin, Addresses: p.Addresses}, true
			}
		}
		return transport.Peer{}, false
	}
	m, ok := v.Member(store.MemberID(id))
	return transport.Peer{Pin: transport.Pin(m.Pin), Addresses: m.Addresses}, ok
}

// others are the members that are not this one.
func (d *directory) others() map[store.MemberID]bool {
	others := map[store.MemberID]bool{}
	if v := d.store.View(); v.Revision() > 0 {
		for _, m := range v.Members() {
			others[m.ID] = true
		}
	} else {
		for _, p := range d.joined {
			others[store.MemberID(p.ID)] = true
		}
	}
	delete(others, d.self)
	return others
}

// seeds are the members that this one heard of when it joined.
func (d *directory) seeds() (ids []store.MemberID) {
	for _, p := range d.joined {
		ids = append(ids, store.MemberID(p.ID))
	}
	return ids
}

// cutRemoved cuts the connections of pins that the log withdraws, at once: it waits for nothing, the disk least of all.
func (c *Core) cutRemoved(ctx context.Context) error {
	return c.follow(ctx, []string{store.KeyMembers, store.KeyRemoved}, func(*store.View) error {
		c.endpoint.Recheck()
		return nil
	})
}

// followMembers ends the member with its own withdrawal. Whom it knows is recorded, because a fleet that restarts as a
// whole must know each other to elect.
func (c *Core) followMembers(ctx context.Context) error {
	return c.follow(ctx, []string{store.KeyMembers, store.KeyRemoved}, func(v *store.View) error {
		if err := c.begun(v); err != nil {
			return err
		}
		if _, removed := v.Removed(c.id()); removed {
			return ErrRemoved
		}
		return nil
	})
}

// begun makes sure that the state of a view is not gone back behind, and that a log that is lost from now on is missed.
func (c *Core) begun(v *store.View) error {
	if err := c.node.Record(v); err != nil || c.self.Begun || v.Revision() == 0 {
		return err
	}
	c.self.Begun = true
	return c.dir.amend(func(s *self) { s.Begun = true })
}
