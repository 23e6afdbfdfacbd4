package transport

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// In virtual time, because here everything depends on who was first, and nothing must on how fast the machine is.
func TestStreamsThatNobodyReadsHoldUpNeitherOtherClassesNorEachOther(t *testing.T) {
	for name, opens := range map[string]func(a, b *member) (from, to *member){
		"of the member that dialled":     func(a, b *member) (from, to *member) { return a, b },
		"of the member that was dialled": func(a, b *member) (from, to *member) { return b, a },
	} {
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				s := newSimulated()
				defer s.close()
				conformance{name, func(f *fleet) {
					a, b := f.add("a"), f.add("b")
					a.ping(b, Transit)
					from, to := opens(a, b)
					to.Handle("flood", func(_ MemberID, c net.Conn) {
						defer c.Close()
						io.Copy(c, zeros{})
					})
					from.leaveUnread(to, maxTransit-1)
					for _, class := range []Class{Control, Data, Transit} {
						c := from.mustOpen(to, class, "flood")
						if _, err := io.CopyN(io.Discard, c, 2<<20); err != nil {
							f.Errorf("%s: %v", class, err)
						}
						c.(HalfCloser).Abort()
					}
				}}.runOn(t, s, true)
			})
		})
	}
}

// leaveUnread opens so many streams of which it reads the beginning, and lets them fill.
func (m *member) leaveUnread(of *member, streams int) {
	for range streams {
		c := m.mustOpen(of, Transit, "flood")
		m.fleet.Cleanup(c.(HalfCloser).Abort)
		if _, err := io.ReadFull(c, make([]byte, 1<<10)); err != nil {
			m.fleet.Errorf("the beginning of a stream: %v", err)
			return
		}
		time.Sleep(10 * oneWay)
	}
}

func TestOfAConnectionThatIsSharedSomeRoomStaysForTheOthers(t *testing.T) {
	conformance{"bounds", func(f *fleet) {
		a, b := f.add("a"), f.add("b")
		b.directory.set("a", a.id.Pin()) // b cannot dial a
		a.ping(b, Data)
		b.fillTransit(a, maxTransitInstead)
		a.ping(b, Transit)
		b.fillTransit(a, maxTransit)
	}}.runOn(t, loopback{}, false)
}

// fillTransit opens so many streams, and no more.
func (m *member) fillTransit(to *member, most int) {
	m.fleet.Helper()
	for range most {
		m.fleet.Cleanup(m.mustOpen(to, Transit, "echo").(HalfCloser).Abort)
	}
	if err := m.tryOpen(to.id.ID(), Transit); !errors.Is(err, ErrBusy) {
		m.fleet.Errorf("%d streams and one more: %v, want %v", most, err, ErrBusy)
	}
}
