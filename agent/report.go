package agent

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

const (
	// kindReport is the stream on which a member tells another what it sees in its own cluster. One stays open
	// from each member to each other:
	//
	//	repeated: uint32 length, big endian | a word, JSON
	kindReport = "report"
	// maxWord bounds one word: some thousands of bundles with their problems.
	maxWord = 4 << 20
	// heartbeat is how often a member says that it lives when it has nothing else to say.
	heartbeat = time.Second
	// reportPause is the least time between two words, so that a cluster in change does not flood the others.
	reportPause = 20 * time.Millisecond
)

// word is one message of a member about itself.
type word struct {
	// Revision of the store that the member has applied.
	Revision store.Revision `json:"revision"`
	// Full says that the rest is set; otherwise it is as in the last full word.
	Full    bool           `json:"full,omitempty"`
	Bundles []bundleReport `json:"bundles,omitempty"`
	// Vitals are set by servers of raft, in any word: they change all the time.
	Vitals *vitals `json:"vitals,omitempty"`
}

// tell replaces what this member says of its own cluster.
func (c *Core) tell(bundles []bundleReport) {
	now := time.Now()
	c.board.note(c.id(), word{Revision: c.store.View().Revision(), Full: true, Bundles: bundles, Vitals: c.vitals(now)}, now)
}

// sendReports keeps a report stream to every other member, as members come and go.
func (c *Core) sendReports(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	senders := map[store.MemberID]context.CancelFunc{}
	follow := func(*store.View) error {
		others := c.directory.others()
		for id, stop := range senders {
			if !others[id] {
				stop()
				delete(senders, id)
			}
		}
		known := func(id store.MemberID) bool { return others[id] || id == c.id() }
		c.board.forget(known)
		c.senses.forget(known)
		for id := range others {
			if _, already := senders[id]; already {
				continue
			}
			peer, stop := context.WithCancel(ctx)
			senders[id] = stop
			g.Go(func() error { c.sendReportsTo(peer, id); return nil })
		}
		return nil
	}
	g.Go(func() error { return c.beat(ctx) })
	g.Go(func() error { return c.follow(ctx, []string{store.KeyMembers}, follow) })
	err := g.Wait()
	for _, stop := range senders {
		stop()
	}
	return err
}

// beat makes time count: who has been silent for long is away, though nothing happened.
func (c *Core) beat(ctx context.Context) error {
	for sleep(ctx, heartbeat) {
		now := time.Now()
		c.senses.measure(c.endpoint.Peers())
		c.board.note(c.id(), word{Revision: c.store.View().Revision(), Vitals: c.vitals(now)}, now)
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

// sendReportsTo speaks to one member until ctx ends, opening the stream again whenever it breaks. Transport backs
// off between dials.
func (c *Core) sendReportsTo(ctx context.Context, to store.MemberID) {
	for ctx.Err() == nil {
		conn, err := c.endpoint.Open(ctx, transport.MemberID(to), transport.Control, kindReport)
		if err == nil {
			err = c.speak(ctx, conn)
			err = errors.Join(err, conn.Close())
		}
		if ctx.Err() == nil {
			c.log.Debug("report stream broke", "peer", to, "err", err)
			sleep(ctx, heartbeat)
		}
	}
}

// speak sends what changed when it changes, and a sign of life when nothing does.
func (c *Core) speak(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	me := c.id()
	told := uint64(0) // no sighting of this member itself has number 0
	for {
		seen, _, changed := c.board.all()
		mine := seen[me]
		w := word{Revision: c.store.View().Revision(), Vitals: mine.vitals}
		if mine.number != told {
			told, w.Full = mine.number, true
			for _, r := range mine.bundles {
				w.Bundles = append(w.Bundles, r)
			}
		}
		if err := writeWord(conn, w); err != nil {
			return err
		}
		if !c.pause(ctx, told, changed) {
			return ctx.Err()
		}
	}
}

// pause waits for something to say: a change of what this member sees itself, or the time for a sign of life.
func (c *Core) pause(ctx context.Context, told uint64, changed <-chan struct{}) bool {
	beat := time.NewTimer(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-beat.C:
			return true
		case <-changed:
		}
		var seen map[store.MemberID]sighting
		if seen, _, changed = c.board.all(); seen[c.id()].number != told {
			return sleep(ctx, reportPause)
		}
	}
}

// receiveReports takes what a peer says of itself, and of nobody else.
func (c *Core) receiveReports(peer transport.MemberID, conn net.Conn) {
	defer conn.Close()
	for {
		conn.SetReadDeadline(time.Now().Add(4 * heartbeat))
		w, err := readWord(conn)
		if err != nil {
			return
		}
		if _, current := c.directory.Find(peer); !current {
			return
		}
		c.senses.hear(store.MemberID(peer), time.Now())
		c.board.note(store.MemberID(peer), w, time.Now())
		time.Sleep(reportPause) // whoever speaks without pause is not heard without pause
	}
}

func writeWord(to io.Writer, w word) error {
	data, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

func readWord(from io.Reader) (w word, err error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return w, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxWord {
		return w, fmt.Errorf("report of %d bytes is over the limit of %d", n, maxWord)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(from, data); err != nil {
		return w, err
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return w, fmt.Errorf("read report: %w", err)
	}
	return w, nil
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
