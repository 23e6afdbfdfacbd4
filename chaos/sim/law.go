package sim

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/transport"
)

// forgery is what a member writes where it may not.
const forgery = "forged"

// forge lets a member that may only speak for itself speak for another.
func (p *player) forge(victim *actor, _ Event) {
	for _, a := range p.all() {
		core := a.Live()
		if !a.never || a == victim || core == nil {
			continue
		}
		key := v1alpha1.KeyClusters + victim.Name
		kv, there := core.Store().View().Get(key)
		var c v1alpha1.Cluster
		if !there || json.Unmarshal(kv.Value, &c) != nil {
			continue
		}
		c.Status.Version = forgery
		value, err := json.Marshal(c)
		if err != nil {
			p.wrong("law", "%v", err)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err = core.Node().Propose(ctx, consensus.Proposal{Txn: store.Txn{If: []store.Condition{store.KeyAt(key, kv.Modified)}, Then: []store.Op{store.Put(key, value)}}})
		if err == nil {
			p.wrong("law", "%s wrote the status of %s", a.Name, victim.Name)
		}
	}
}

// forged recognizes it wherever it lies.
func forged(key string, value []byte) bool {
	if !strings.HasPrefix(key, v1alpha1.KeyClusters) {
		return false
	}
	var c v1alpha1.Cluster
	return json.Unmarshal(value, &c) == nil && c.Status.Version == forgery
}

// remove ends a membership as `hanse remove` does, and tries the key of the removed one at everybody's door.
func (p *player) remove(a *actor, e Event) {
	if !p.canSpare(a) {
		return
	}
	id, ok := p.idOf(a)
	if !ok || !p.strike(a) {
		return
	}
	p.leave(a)
	p.haunt(a, id)
}

// leave ends the process of a removed member.
func (p *player) leave(a *actor) {
	a.gone.Store(true)
	a.life.Lock()
	defer a.life.Unlock()
	if a.Running() {
		p.halt(a)
	}
}

// canSpare says that the fleet could do without a member: it may not vote, or enough others may, and as many do as should. An
// epoch begins with one voter.
func (p *player) canSpare(a *actor) bool {
	if a.never {
		return true
	}
	leader := p.leader()
	if leader == nil || p.eligible() <= 3 {
		return false
	}
	core := leader.Live()
	return core != nil && len(core.Node().Status().Voters) >= 3
}

func (p *player) idOf(a *actor) (id store.MemberID, ok bool) {
	if core := a.Live(); core != nil {
		return core.Node().Status().ID, true
	}
	return "", false
}

// strike removes a member and says whether that is done. What was begun and is not done goes on when all is whole.
func (p *player) strike(a *actor) bool {
	core := p.someone(a)
	if core == nil {
		return false
	}
	a.retiring.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := Remove(ctx, core, a.Name)
	return err == nil
}

// grace is how long after it applied a removal a member may still take something from the removed one.
const grace = 100 * time.Millisecond

// haunt takes up the key and the address of a removed member, and knocks at the doors of all who have applied that.
func (p *player) haunt(a *actor, id store.MemberID) {
	identity, err := transport.LoadIdentity(a.dir, nil)
	if err != nil {
		p.wrong("removal", "key of %s: %v", a.Name, err)
		return
	}
	for _, other := range p.all() {
		core := other.Live()
		if core == nil || other.gone.Load() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := core.Store().WaitFor(ctx, 1)
		for err == nil && ctx.Err() == nil && other.Live() == core {
			if _, removed := core.Store().View().Removed(id); removed {
				break
			}
			pause.For(ctx, 20*time.Millisecond)
		}
		if _, removed := core.Store().View().Removed(id); removed {
			pause.For(ctx, grace)
			p.knock(a, identity, other, core)
		}
		cancel()
	}
}

// knock opens a stream with the key of a removed member.
func (p *player) knock(a *actor, identity transport.Identity, at *actor, core *agent.Core) {
	v := core.Store().View()
	endpoint, err := transport.Listen(transport.Config{Identity: identity, Directory: allOf{v}, Conn: p.fleet.Net.Listen(a.addr), Removed: func(transport.MemberID) {}})
	if err != nil {
		p.wrong("removal", "socket of %s: %v", a.Name, err)
		return
	}
	defer endpoint.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	stream, err := endpoint.Open(ctx, transport.MemberID(core.Node().Status().ID), transport.Control, "read")
	if err != nil {
		return // as it should be, or the network is down
	}
	defer stream.Close()
	p.wrong("removal", "%s was removed, and %s lets it in", a.Name, at.Name)
}

// allOf is a directory of everybody.
type allOf struct{ v *store.View }

// Lookup implements transport.Directory.
func (d allOf) Lookup(pin transport.Pin) (transport.MemberID, transport.Standing) {
	id, _, ok := d.v.FindPin(store.Pin(pin))
	if !ok {
		return "", transport.Unknown
	}
	return transport.MemberID(id), transport.Current
}

// Find implements transport.Directory.
func (d allOf) Find(id transport.MemberID) (transport.Peer, bool) {
	m, ok := d.v.Member(store.MemberID(id))
	return transport.Peer{Pin: transport.Pin(m.Pin), Addresses: m.Addresses}, ok
}
