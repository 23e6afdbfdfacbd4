package report

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

const (
	// reportPause is the least time between two bulletins, so that a cluster in change does not flood the others.
	reportPause = 20 * time.Millisecond
	// patienceOfLine is how long a bulletin may take, and how long one is waited for.
	patienceOfLine = 4 * Heartbeat
	// maxFollowers is how many members have their news from one at most.
	maxFollowers = 128
)

var (
	errNoSource = errors.New("this member tells nobody of others: it neither votes nor may")
	errTooMany  = errors.New("too many have their news from this member")
	errNoMember = errors.New("it is no member")
)

// converse speaks on a stream that this member opened, and listens when the other end is a source.
func (e *Exchange) converse(ctx context.Context, conn net.Conn, l *line) error {
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer e.board.end(l)
	g.Go(func() error { return e.speak(ctx, conn, l) })
	if l.role == above {
		g.Go(func() error {
			for {
				if err := e.listen(conn, l); err != nil {
					return err
				}
			}
		})
	}
	return errors.Join(g.Wait(), conn.Close())
}

// speak sends what changed when it changes, and a sign of life when nothing does.
func (e *Exchange) speak(ctx context.Context, conn net.Conn, l *line) error {
	for first := true; ; first = false {
		urgent := e.board.news(l)
		w, more := e.board.compose(l, time.Now())
		w.Follows = first && l.role == above
		conn.SetWriteDeadline(time.Now().Add(patienceOfLine))
		if err := writeBulletin(conn, w); err != nil {
			return err
		}
		if !more {
			quiet(ctx, urgent)
		}
		if !pause.For(ctx, reportPause) {
			return ctx.Err()
		}
	}
}

// quiet waits until there is something to say, or the time for a sign of life.
func quiet(ctx context.Context, urgent <-chan struct{}) {
	beat := time.NewTimer(Heartbeat)
	defer beat.Stop()
	select {
	case <-urgent:
	case <-beat.C:
	case <-ctx.Done():
	}
}

// listen takes one bulletin.
func (e *Exchange) listen(conn net.Conn, l *line) error {
	conn.SetReadDeadline(time.Now().Add(patienceOfLine))
	w, err := readBulletin(conn)
	if err != nil {
		return err
	}
	if err := e.heard(l, w); err != nil {
		return err
	}
	time.Sleep(reportPause) // whoever speaks without pause is not heard without pause
	return nil
}

// heard takes in what a member says, now.
func (e *Exchange) heard(l *line, w bulletin) error {
	peer, current := e.fleet.Member(l.peer)
	if !current {
		return errNoMember
	}
	now := time.Now()
	e.senses.hear(l.peer, now)
	err := e.board.take(l, w, l.role == above || e.passesOn(l.peer), now)
	if errors.Is(err, errForged) {
		e.log.Warn("a member's report was refused", "peer", cmp.Or(peer.Cluster, string(l.peer)), "err", err)
	}
	return err
}

// passesOn says whether a member is trusted with news of others, as it is with the log: see consensus.
func (e *Exchange) passesOn(id store.MemberID) bool {
	m, _ := e.fleet.Member(id)
	return m.Eligible || e.fleet.Position().isServer(id)
}

// Receive takes what a peer says on a stream of Kind that it opened, and answers when the peer has its news from here. It
// closes the stream, and returns why it ended.
func (e *Exchange) Receive(peer store.MemberID, conn net.Conn) error {
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patienceOfLine))
	w, err := readBulletin(conn)
	if err != nil {
		return err
	}
	l := newLine(peer, beside)
	defer e.board.end(l)
	g, ctx := errgroup.WithContext(context.Background())
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if w.Follows {
		if !e.passesOn(e.self) {
			return errNoSource
		}
		l.role = below
	}
	leave, ok := e.callers[l.role].Admit(peer, conn)
	if !ok {
		return errTooMany
	}
	defer leave()
	if l.role == below {
		g.Go(func() error { return e.speak(ctx, conn, l) })
	}
	g.Go(func() error {
		for err := e.heard(l, w); ; err = e.listen(conn, l) {
			if err != nil {
				return err
			}
		}
	})
	return g.Wait()
}
