package agent

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/guests"
	"github.com/hanse-fleet/hanse/transport"
)

const (
	// heartbeat is how often a member says that it lives when it has nothing else to say.
	heartbeat = time.Second
	// look is how often a member looks who is silent, and whom to speak to.
	look = heartbeat / 4
	// reportPause is the least time between two bulletins, so that a cluster in change does not flood the others.
	reportPause = 20 * time.Millisecond
	// patienceOfLine is how long a bulletin may take, and how long one is waited for.
	patienceOfLine = 4 * heartbeat
	// maxFollowers is how many members have their news from one at most.
	maxFollowers = 128
)

var (
	errNoSource = errors.New("this member tells nobody of others: it neither votes nor may")
	errTooMany  = errors.New("too many have their news from this member")
	errNoMember = errors.New("it is no member")
	errStarting = errors.New("this member is still starting")
)

// tell replaces what this member says of its own cluster.
func (c *Core) tell(bundles []bundleReport) { c.board.tell(bundles, time.Now()) }

// sendReports keeps streams to those who should hear of this member, and lets time count.
func (c *Core) sendReports(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.beat(ctx) })
	g.Go(func() error { c.keepLines(ctx); return nil })
	g.Go(func() error {
		return c.follow(ctx, []string{store.KeyMembers, store.KeyRemoved}, func(v *store.View) error {
			removed := func(id store.MemberID) bool { _, gone := v.Removed(id); return gone }
			c.board.forget(removed)
			c.senses.forget(removed)
			return nil
		})
	})
	return g.Wait()
}

// beat makes time count: who has been silent for long is away, though nothing happened.
func (c *Core) beat(ctx context.Context) error {
	for sleep(ctx, heartbeat) {
		now := time.Now()
		c.senses.measure(c.endpoint.Peers())
		c.board.beat(c.store.View().Revision(), c.vitals(now), now)
		if err := c.keepPace(now); err != nil {
			return err
		}
		c.board.touch()
		// What is recorded is also what reads are answered from after a restart without quorum.
		if err := c.node.Record(c.store.View()); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// converse speaks on a stream that this member opened, and listens when the other end is a source.
func (c *Core) converse(ctx context.Context, conn net.Conn, l *line) error {
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer c.board.end(l)
	g.Go(func() error { return c.speak(ctx, conn, l) })
	if l.role == above {
		g.Go(func() error {
			for {
				if err := c.listen(conn, l); err != nil {
					return err
				}
			}
		})
	}
	return errors.Join(g.Wait(), conn.Close())
}

// speak sends what changed when it changes, and a sign of life when nothing does.
func (c *Core) speak(ctx context.Context, conn net.Conn, l *line) error {
	for first := true; ; first = false {
		urgent := c.board.news()
		w, more := c.board.compose(l, time.Now())
		w.Follows = first && l.role == above
		conn.SetWriteDeadline(time.Now().Add(patienceOfLine))
		if err := writeBulletin(conn, w); err != nil {
			return err
		}
		if !more {
			c.quiet(ctx, urgent)
		}
		if !sleep(ctx, reportPause) {
			return ctx.Err()
		}
	}
}

// quiet waits until there is something to say, or the time for a sign of life.
func (c *Core) quiet(ctx context.Context, urgent <-chan struct{}) {
	beat := time.NewTimer(heartbeat)
	defer beat.Stop()
	select {
	case <-urgent:
	case <-beat.C:
	case <-ctx.Done():
	}
}

// listen takes one bulletin.
func (c *Core) listen(conn net.Conn, l *line) error {
	conn.SetReadDeadline(time.Now().Add(patienceOfLine))
	w, err := readBulletin(conn)
	if err != nil {
		return err
	}
	if err := c.heard(l, w); err != nil {
		return err
	}
	time.Sleep(reportPause) // whoever speaks without pause is not heard without pause
	return nil
}

// heard takes in what a member says, now.
func (c *Core) heard(l *line, w bulletin) error {
	if _, current := c.directory.Find(transport.MemberID(l.peer)); !current {
		return errNoMember
	}
	now := time.Now()
	c.senses.hear(l.peer, now)
	err := c.board.take(l, w, l.role == above || c.passesOn(l.peer), now)
	if errors.Is(err, errForged) {
		c.log.Warn("a member's report was refused", "peer", c.clusterOf(transport.MemberID(l.peer)), "err", err)
	}
	return err
}

// passesOn says whether a member is trusted with news of others, as it is with the log: see consensus.
func (c *Core) passesOn(id store.MemberID) bool {
	if m, _ := c.store.View().Member(id); m.Eligible {
		return true
	}
	return isServer(c.node.Status(), id)
}

// receiveReports takes what a peer says, and answers when the peer has its news from here.
func (c *Core) receiveReports(peer transport.MemberID, conn net.Conn) {
	defer conn.Close()
	if err := c.receive(store.MemberID(peer), conn); err != nil {
		c.log.Debug("report stream ended", "peer", peer, "err", err)
	}
}

func (c *Core) receive(peer store.MemberID, conn net.Conn) error {
	if !c.opened() {
		return errStarting
	}
	conn.SetReadDeadline(time.Now().Add(patienceOfLine))
	w, err := readBulletin(conn)
	if err != nil {
		return err
	}
	l := newLine(peer, beside)
	defer c.board.end(l)
	g, ctx := errgroup.WithContext(context.Background())
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if w.Follows {
		if !c.passesOn(c.id()) {
			return errNoSource
		}
		l.role = below
	}
	leave, ok := c.callers[l.role].Admit(peer, conn)
	if !ok {
		return errTooMany
	}
	defer leave()
	if l.role == below {
		g.Go(func() error { return c.speak(ctx, conn, l) })
	}
	g.Go(func() error {
		for err := c.heard(l, w); ; err = c.listen(conn, l) {
			if err != nil {
				return err
			}
		}
	})
	return g.Wait()
}

// callers are the streams that others have opened to report, by the role of who did: a member has one of each.
type callers map[role]*guests.List[store.MemberID]

func newCallers() callers {
	return callers{below: guests.New[store.MemberID](maxFollowers), beside: guests.New[store.MemberID](maxSeen)}
}

// sleep waits and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
