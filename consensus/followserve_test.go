package consensus

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestSnapshotThatIsTakenTooSlowly(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
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
