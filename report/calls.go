package report

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

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

// Run opens streams to this member's neighbours, as these come and go, until ctx ends.
func (e *Exchange) Run(ctx context.Context) {
	var speaking errgroup.Group
	n := neighbours{self: e.self}
	open := map[store.MemberID]*call{}
	for {
		now := time.Now()
		e.board.lapse(now)
		position := e.fleet.Position()
		wanted := n.choose(position, func(id store.MemberID) time.Time { return open[id].heard(e.board) }, now)
		e.board.place(position.isServer(e.self))
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
				speaking.Go(func() error { e.callUntil(call); return nil })
			}
		}
		if !pause.For(ctx, look) {
			break
		}
	}
	for _, call := range open {
		call.stop()
	}
	_ = speaking.Wait() // none of them fails
}

// callUntil keeps a stream to one member until the call is stopped, opening it again whenever it breaks. Whoever opens
// it backs off between dials.
func (e *Exchange) callUntil(call *call) {
	for call.ctx.Err() == nil {
		l := call.redial()
		conn, err := e.fleet.Open(call.ctx, l.peer)
		if err == nil {
			err = e.converse(call.ctx, conn, l)
		}
		if call.ctx.Err() == nil {
			e.log.Debug("report stream broke", "peer", l.peer, "err", err)
			pause.For(call.ctx, Heartbeat)
		}
	}
}
