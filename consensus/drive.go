package consensus

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// caughtUp is how many entries behind a member may be and still count as caught up.
const caughtUp = 64

// routineDrive keeps raft's configuration on its way to the membership while this node leads.
func (n *Node) routineDrive() {
	n.WhileLeading(n.ctx, func(ctx context.Context, _ uint64) {
		o, _ := n.offices.get()
		if o != nil {
			n.drive(ctx, o)
		}
	})
}

// drive makes one change after the other, as long as there is one to make, and looks again at every change of the
// membership and once in a while.
func (n *Node) drive(ctx context.Context, o *office) {
	tick := time.NewTicker(n.cfg.Timing.Drive)
	defer tick.Stop()
	members := n.watchMembers(ctx)
	for ctx.Err() == nil {
		ch := n.nextChange(o)
		if ch.action != changeNone && n.make(ctx, o, ch) {
			continue
		}
		select {
		case <-members:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// make carries out a change and says whether to look for the next one at once.
func (n *Node) make(ctx context.Context, o *office, ch change) bool {
	n.cfg.Logger.Info("change raft configuration", "change", ch.String())
	if err := n.request(ctx, o, ch); err != nil {
		n.cfg.Logger.Warn("raft configuration not changed", "change", ch.String(), "error", err)
		return false
	}
	return true
}

// request carries out a change. A change of who votes holds from when it is written, so those who vote then must be there: had
// one died a moment ago, the fleet could have decided without it before, and could not any more.
func (n *Node) request(ctx context.Context, o *office, ch change) error {
	if (ch.action == changePromote || ch.action == changeDemote) && !n.cfg.Faults.HastyChoice {
		if err := n.decidable(o, ch); err != nil {
			return err
		}
	}
	if ch.action == changePromote && n.cfg.BeforeVote != nil {
		after, err := n.cfg.BeforeVote(ctx, o.term, ch.id)
		if err != nil {
			return err
		}
		defer after()
	}
	id, address, timeout := raft.ServerID(ch.id), raft.ServerAddress(ch.id), n.pace.get()
	switch ch.action {
	case changeAdd:
		return n.await(n.raft.AddNonvoter(id, address, anyIndex, timeout))
	case changePromote:
		return n.await(n.raft.AddVoter(id, address, anyIndex, timeout))
	case changeDemote:
		return n.await(n.raft.DemoteVoter(id, anyIndex, timeout))
	case changeRemove:
		return n.await(n.raft.RemoveServer(id, anyIndex, timeout))
	case changeTransfer:
		return n.handOver(ctx, ch.id)
	}
	return nil
}

// anyIndex lets raft make a change whatever its newest configuration is, since it does not tell which that is outside of its
// main loop. A change is decided and requested by one goroutine of the one leader, so no other can come between.
const anyIndex = 0

func (n *Node) nextChange(o *office) change {
	c := configuration{
		self: n.cfg.ID, servers: n.servers(),
		alive: func(id MemberID) bool { return n.heardFrom(o, id) || n.cfg.Faults.HastyChoice && n.inContact(o, id) },
		ready: func(id MemberID) bool { return n.stable(o, id) },
	}
	var candidates []Candidate
	for _, m := range n.cfg.Store.View().Members() {
		c.members = append(c.members, m.ID)
		candidates = append(candidates, n.candidate(o, m, c.servers))
	}
	if len(c.members) == 0 {
		return change{} // not founded yet
	}
	choice := n.cfg.Choose(candidates).lawful(candidates)
	c.wanted, c.standbys = choice.Voters, choice.Standbys
	return c.nextChange()
}

func (n *Node) candidate(o *office, m store.Member, servers map[MemberID]bool) Candidate {
	votes, in := servers[m.ID]
	return Candidate{
		ID: m.ID, Cluster: m.Cluster, Region: m.Region, Eligible: m.Eligible, Voter: votes, Standby: in && !votes,
		Stable: in && n.stable(o, m.ID) || votes && n.cfg.Faults.HastyChoice,
	}
}

// stable says whether a member has been caught up and in contact for long enough.
func (n *Node) stable(o *office, id MemberID) bool {
	if id == n.cfg.ID {
		return true
	}
	c := n.transport.contact(id)
	return !c.heard.IsZero() && n.inContact(o, id) &&
		time.Since(c.since) >= n.cfg.Timing.Stable &&
		c.match+caughtUp >= n.raft.CommitIndex()
}

// watchMembers signals changes of the membership until ctx ends.
func (n *Node) watchMembers(ctx context.Context) <-chan struct{} {
	signal := make(chan struct{}, 1)
	n.goFunc(func() {
		for ctx.Err() == nil {
			n.followMembers(ctx, signal)
			n.pause(ctx, n.cfg.Timing.RetryMin)
		}
	})
	return signal
}

// followMembers returns when ctx ends or the watch fell behind.
func (n *Node) followMembers(ctx context.Context, signal chan<- struct{}) {
	w, err := n.cfg.Store.Watch(store.KeyMembers, n.cfg.Store.View().Revision())
	if err != nil {
		return
	}
	for {
		if _, err := w.Next(ctx); err != nil {
			return
		}
		select {
		case signal <- struct{}{}:
		default:
		}
	}
}

// removed says whether this member was one and is no longer.
func (n *Node) removed() bool {
	_, gone := n.cfg.Store.View().Removed(n.cfg.ID)
	return gone
}
