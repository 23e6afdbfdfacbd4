package agent

import (
	"cmp"
	"context"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// spareAfter is how long a follower waits for a word of its source before it turns to a voter besides: sooner than the
// others would take it for gone.
const spareAfter = 2 * heartbeat

// neighbours chooses whom a member opens a stream to. A server of raft speaks to all others. A follower has its news from
// where it has the log, and while it hears nothing from there also from a voter, one after the other.
type neighbours struct {
	self          store.MemberID
	source, spare store.MemberID
	since, spared time.Time // when they were chosen
}

// choose says whom to speak to now, and as what.
func (n *neighbours) choose(s consensus.Status, heard func(store.MemberID) time.Time, now time.Time) map[store.MemberID]role {
	wanted := map[store.MemberID]role{}
	server := isServer(s, n.self)
	if server {
		for _, id := range slices.Concat(s.Voters, s.Nonvoters) {
			if id != n.self {
				wanted[id] = beside
			}
		}
	}
	switch {
	case s.Source != "" && s.Source != n.source:
		n.source, n.since = s.Source, now
	case s.Source == "" && server:
		n.source = "" // it is of raft again
	}
	if n.source != "" {
		wanted[n.source] = above
	}
	silent := func(id store.MemberID, since time.Time) bool {
		return id == "" || now.Sub(later(heard(id), since)) > spareAfter
	}
	switch {
	case server || !silent(n.source, n.since):
		n.spare = ""
	case silent(n.spare, n.spared):
		n.spare, n.spared = n.next(s.Voters), now
	}
	if n.spare != "" {
		wanted[n.spare] = above
	}
	return wanted
}

// next is the voter behind the present spare, in an order that each member has for itself.
func (n *neighbours) next(voters []store.MemberID) store.MemberID {
	able := slices.DeleteFunc(slices.Clone(voters), func(id store.MemberID) bool { return id == n.self || id == n.source })
	if len(able) == 0 {
		return ""
	}
	slices.SortFunc(able, func(a, b store.MemberID) int { return cmp.Or(cmp.Compare(n.draw(a), n.draw(b)), cmp.Compare(a, b)) })
	return able[(slices.Index(able, n.spare)+1)%len(able)]
}

func (n *neighbours) draw(id store.MemberID) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	h.Write([]byte(n.self))
	return h.Sum64()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isServer says whether a member is a server of raft.
func isServer(s consensus.Status, id store.MemberID) bool {
	return slices.Contains(s.Voters, id) || slices.Contains(s.Nonvoters, id)
}

// call is the keeping of a stream to one neighbour.
type call struct {
	peer store.MemberID
	role role
	ctx  context.Context
	stop context.CancelFunc
	line atomic.Pointer[line] // of the present stream
}

// redial makes the line of the next stream.
func (k *call) redial() *line {
	l := newLine(k.peer, k.role)
	k.line.Store(l)
	return l
}

// heard is when the other end spoke last on the present stream.
func (k *call) heard(b *board) time.Time {
	if k == nil {
		return time.Time{}
	}
	if l := k.line.Load(); l != nil {
		return b.heardOf(l)
	}
	return time.Time{}
}

// keepLines opens streams to this member's neighbours, as these come and go.
func (c *Core) keepLines(ctx context.Context) {
	var speaking errgroup.Group
	n := neighbours{self: c.id()}
	open := map[store.MemberID]*call{}
	for {
		now := time.Now()
		c.board.lapse(now)
		status := c.node.Status()
		wanted := n.choose(status, func(id store.MemberID) time.Time { return open[id].heard(c.board) }, now)
		c.board.place(isServer(status, c.id()))
		for id, call := range open {
			if r, still := wanted[id]; !still || r != call.role {
				call.stop()
				delete(open, id)
			}
		}
		for id, r := range wanted {
			if open[id] == nil {
				call := &call{peer: id, role: r}
				call.ctx, call.stop = context.WithCancel(ctx)
				open[id] = call
				speaking.Go(func() error { c.callUntil(call); return nil })
			}
		}
		if !sleep(ctx, look) {
			break
		}
	}
	for _, call := range open {
		call.stop()
	}
	_ = speaking.Wait() // none of them fails
}

// callUntil keeps a stream to one member until the call is stopped, opening it again whenever it breaks. Transport backs
// off between dials.
func (c *Core) callUntil(call *call) {
	for call.ctx.Err() == nil {
		l := call.redial()
		conn, err := c.endpoint.Open(call.ctx, transport.MemberID(l.peer), transport.Control, kindReport)
		if err == nil {
			err = c.converse(call.ctx, conn, l)
		}
		if call.ctx.Err() == nil {
			c.log.Debug("report stream broke", "peer", l.peer, "err", err)
			sleep(call.ctx, heartbeat)
		}
	}
}
