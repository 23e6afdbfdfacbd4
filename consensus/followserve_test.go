package consensus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestFeeds(t *testing.T) {
	newFeed := func(id string) (*feed, net.Conn) {
		here, there := net.Pipe()
		return &feed{to: MemberID(id), conn: patient{here, time.Second}}, there
	}
	t.Run("a member's newer stream ends its older one, and takes its place", func(t *testing.T) {
		fs := &feeds{by: map[MemberID]*feed{}}
		older, far := newFeed("a")
		newer, _ := newFeed("a")
		if !fs.begin(older) || !fs.begin(newer) || fs.count() != 1 {
			t.Fatalf("%d places", fs.count())
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the older one goes on: %v", err)
		}
		if fs.end(older); fs.count() != 1 {
			t.Error("the older one took the newer one's place with it")
		}
		if fs.end(newer); fs.count() != 0 {
			t.Error("a place is lost")
		}
	})
	t.Run("who is one too many gets no place, whoever has one comes again", func(t *testing.T) {
		fs := &feeds{by: map[MemberID]*feed{}}
		for i := range maxFollowers {
			if s, _ := newFeed(fmt.Sprint(i)); !fs.begin(s) {
				t.Fatalf("member %d got no place", i)
			}
		}
		late, _ := newFeed("late")
		again, _ := newFeed("7")
		if fs.begin(late) || !fs.begin(again) || fs.count() != maxFollowers {
			t.Errorf("%d places", fs.count())
		}
	})
}

func TestSnapshotThatIsTakenTooSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		s := &feed{conn: patient{here, time.Minute}}
		var ended error
		done := make(chan struct{})
		began := time.Now()
		go func() {
			defer close(done)
			ended = pieces(zeros{}, 1<<20, func([]byte) error {
				_, err := s.conn.Write([]byte{0})
				return err
			})
		}()
		for over := false; !over && time.Since(began) < time.Hour; {
			select {
			case <-done:
				over = true
			case <-time.After(30 * time.Second):
				there.SetReadDeadline(time.Now().Add(time.Second))
				there.Read(make([]byte, 1))
			}
		}
		there.Close()
		<-done
		if took := time.Since(began); !errors.Is(ended, errSlow) || took > 3*time.Minute {
			t.Errorf("after %s: %v", took, ended)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPatience(t *testing.T) {
	timing := DefaultTiming()
	n := &Node{pace: newPace(timing)}
	m := &meal{f: &feeder{n: n}, path: []MemberID{"a"}}
	for vain, want := range []time.Duration{6 * time.Second, 12 * time.Second, longestVain, longestVain, longestVain} {
		m.f.vain = vain
		if got := m.patience(); got != want {
			t.Errorf("after %d sources without a leader: %s", vain, got)
		}
	}
	m.path = nil
	if got := m.patience(); got != n.silence() {
		t.Errorf("with a source that hears nobody: %s", got)
	}
}
