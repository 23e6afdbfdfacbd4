package agent

import (
	"context"
	"errors"
	"slices"
	"strings"

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

// followMembers cuts the connections of pins that the log withdraws, at once; its own withdrawal ends the member. Whom
// it knows is recorded, because a fleet that restarts as a whole must know each other to elect.
func (c *Core) followMembers(ctx context.Context) error {
	return c.follow(ctx, []string{store.KeyMembers, store.KeyRemoved}, func(v *store.View) error {
		c.endpoint.Recheck()
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

// follow calls act once, and again whenever a key with one of the prefixes has changed. It returns act's error, or
// nil when ctx ends.
func (c *Core) follow(ctx context.Context, prefixes []string, act func(*store.View) error) error {
	for {
		v := c.store.View()
		if err := act(v); err != nil {
			return err
		}
		if err := c.changed(ctx, prefixes, v.Revision()); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// changed waits until a key with one of the prefixes has changed after the revision. When the history no longer
// tells, it counts as changed.
func (c *Core) changed(ctx context.Context, prefixes []string, after store.Revision) error {
	w, err := c.store.Watch("/", after)
	for err == nil {
		var batch store.Batch
		batch, err = w.Next(ctx)
		if slices.ContainsFunc(batch.Events, func(e store.Event) bool { return hasPrefix(e.Key, prefixes) }) {
			return nil
		}
	}
	if errors.Is(err, store.ErrCompacted) {
		return nil
	}
	return err
}

func hasPrefix(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// await returns when a key with one of the prefixes has changed after the revision, when news closes, or after a
// while: what is fresh depends on time too.
func (c *Core) await(ctx context.Context, prefixes []string, after store.Revision, news <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, leaderTick)
	written := make(chan struct{})
	go func() {
		defer close(written)
		if c.changed(ctx, prefixes, after) != nil {
			<-ctx.Done()
		}
	}()
	select {
	case <-written:
	case <-news:
	case <-ctx.Done():
	}
	cancel()
	<-written
}
