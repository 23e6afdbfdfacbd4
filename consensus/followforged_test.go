package consensus_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

func TestForgedSource(t *testing.T) {
	for name, frames := range consensus.Forgeries {
		t.Run(name+", and its follower takes nothing of it and finds another", func(t *testing.T) {
			bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
				g.Found(3)
				m := followers(g)[0]
				g.WaitFor("a source", func() bool { return m.Node().Status().Source != "" })
				source := g.Members[slices.Index(ids(g), m.Node().Status().Source)]
				var asked atomic.Int64
				source.Endpoint.Handle("follow", func(_ consensus.MemberID, c net.Conn) {
					asked.Add(1)
					consensus.Forge(c, source.ID, frames)
				})
				g.Kill(m)
				g.MustPut(g.Leader(), "/k", "v")
				g.Start(m)
				g.WaitFor("it to fall for it once", func() bool { return asked.Load() > 0 })
				g.WaitFor("another source", func() bool { s := m.Node().Status().Source; return s != "" && s != source.ID })
				g.MustPut(m, "/k", "it goes on")
				converge(g)
				wantSameLog(t, g.Leader(), m)
				if len(m.Fatal) > 0 {
					t.Error(<-m.Fatal)
				}
			})
		})
	}
}

// short is a Network on which streams of the log end after some bytes.
type short struct {
	consensus.Network
	after int
	cut   *atomic.Int64 // how many ended
}

func (s short) Open(ctx context.Context, to consensus.MemberID, class consensus.Class, kind string) (net.Conn, error) {
	c, err := s.Network.Open(ctx, to, class, kind)
	if err != nil || kind != "follow" {
		return c, err
	}
	return &shortConn{Conn: c, left: s.after, cut: s.cut}, nil
}

type shortConn struct {
	net.Conn
	left int
	cut  *atomic.Int64
}

func (c *shortConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.cut.Add(1)
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func TestFollowedSnapshotCut(t *testing.T) {
	t.Run("a snapshot whose stream breaks behind every piece goes on where it was, and is whole", func(t *testing.T) {
		bubble(t, 6, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Tune = smallLogs
			g.Found(3)
			m := followers(g)[0]
			g.Kill(m)
			for i := range large {
				g.MustPut(g.Leader(), fmt.Sprintf("/large/%d", i), noise(64<<10))
			}
			for i := range 20 {
				g.MustPut(g.Leader(), "/k", fmt.Sprint(i))
			}
			time.Sleep(time.Second)
			var cut atomic.Int64
			g.Tune = func(m *consensustest.Member, c *consensus.Config) {
				smallLogs(m, c)
				c.Network = short{m.Endpoint, 80 << 10, &cut}
			}
			g.Start(m)
			g.WaitFor("all values", func() bool { return values(m) == large })
			if n := cut.Load(); n < large/2 {
				t.Errorf("the stream broke only %d times", n)
			}
		})
	})
}
