package agent

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/report"
	"github.com/hanse-fleet/hanse/transport"
)

var errStarting = errors.New("this member is still starting")

// around lets reports travel through transport, to those whom the log and the consensus know, without report knowing these.
type around struct{ *Core }

// Position implements report.Fleet.
func (a around) Position() report.Position {
	s := a.node.Status()
	return report.Position{Voters: s.Voters, Nonvoters: s.Nonvoters, Source: s.Source}
}

// Open implements report.Fleet. Transport backs off between dials.
func (a around) Open(ctx context.Context, to store.MemberID) (net.Conn, error) {
	return a.endpoint.Open(ctx, transport.MemberID(to), transport.Control, report.Kind)
}

// Member implements report.Fleet.
func (a around) Member(id store.MemberID) (store.Member, bool) {
	_, current := a.directory.Find(transport.MemberID(id))
	m, _ := a.store.View().Member(id)
	return m, current
}

// receiveReports takes what a peer says, once this member knows whom to believe.
func (c *Core) receiveReports(peer transport.MemberID, conn net.Conn) {
	if !c.opened() {
		c.log.Debug("report stream refused", "peer", peer, "err", errStarting)
		conn.Close()
		return
	}
	if err := c.reports.Receive(store.MemberID(peer), conn); err != nil {
		c.log.Debug("report stream ended", "peer", peer, "err", err)
	}
}

// sendReports keeps streams to those who should hear of this member, and lets time count.
func (c *Core) sendReports(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.beat(ctx) })
	g.Go(func() error { c.reports.Run(ctx); return nil })
	g.Go(func() error {
		return c.follow(ctx, []string{store.KeyMembers, store.KeyRemoved}, func(v *store.View) error {
			c.reports.Forget(func(id store.MemberID) bool { _, gone := v.Removed(id); return gone })
			return nil
		})
	})
	return g.Wait()
}

// beat makes time count: who has been silent for long is away, though nothing happened.
func (c *Core) beat(ctx context.Context) error {
	for pause.For(ctx, report.Heartbeat) {
		now := time.Now()
		c.reports.Measure(c.roundTrips(), now)
		c.reports.Beat(c.store.View().Revision(), c.vitals(now), now)
		if err := c.keepPace(now); err != nil {
			return err
		}
		// What is recorded is also what reads are answered from after a restart without quorum.
		if err := c.node.Record(c.store.View()); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
