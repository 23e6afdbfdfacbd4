package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

const patience = 2 * time.Minute

// manager is systemd's end of a notify socket.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// newManager makes a real notify socket and the environment that systemd would give the daemon.
func newManager(t *testing.T, watchdog time.Duration) *manager {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	if watchdog > 0 {
		t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	}
	return &manager{t: t, conn: conn}
}

// hears returns the next message, and false when none comes in time.
func (m *manager) hears(within time.Duration) (string, bool) {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		m.t.Fatal(err)
	}
	buf := make([]byte, 1024)
	n, err := m.conn.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", false
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return string(buf[:n]), true
}

func (m *manager) expect(want string) {
	m.t.Helper()
	if got, ok := m.hears(patience); got != want {
		m.t.Fatalf("systemd hears %q (%v), want %q", got, ok, want)
	}
}

// silence empties the socket, and fails when anything follows.
func (m *manager) silence(long time.Duration) {
	m.t.Helper()
	for ok := true; ok; {
		_, ok = m.hears(time.Millisecond)
	}
	if got, ok := m.hears(long); ok {
		m.t.Fatalf("systemd hears %q, want silence", got)
	}
}

func newNotifier(t *testing.T) *Notifier {
	n, err := NewNotifier(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// feed runs Feed until the test ends.
func feed(t *testing.T, n *Notifier, healthy func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Feed(ctx, healthy) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Feed does not return")
		}
	})
}

// asked waits until healthy was asked n times more.
func asked(t *testing.T, count *atomic.Int64, n int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for until := count.Load() + n; count.Load() < until; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("healthy is not asked")
		}
	}
}

func TestNotifierSaysReadyAndStopping(t *testing.T) {
	m := newManager(t, 0)
	n := newNotifier(t)
	n.Ready()
	m.expect("READY=1")
	n.Stopping()
	m.expect("STOPPING=1")
}

func TestNotifierFeedsTheWatchdogOnlyWhileHealthy(t *testing.T) {
	const watchdog = 90 * time.Millisecond
	m := newManager(t, watchdog)
	var count atomic.Int64
	var ill atomic.Bool
	feed(t, newNotifier(t), func(context.Context) error {
		count.Add(1)
		if ill.Load() {
			return errors.New("raft does not answer")
		}
		return nil
	})
	m.expect("WATCHDOG=1")
	m.expect("WATCHDOG=1")

	ill.Store(true)
	asked(t, &count, 2)
	m.silence(3 * watchdog)

	ill.Store(false)
	m.expect("WATCHDOG=1")
}

func TestNotifierDoesNotFeedWhenTheAnswerDoesNotCome(t *testing.T) {
	const watchdog = 90 * time.Millisecond
	m := newManager(t, watchdog)
	var count atomic.Int64
	feed(t, newNotifier(t), func(ctx context.Context) error {
		count.Add(1)
		<-ctx.Done() // a stalled disk
		return nil
	})
	asked(t, &count, 2)
	m.silence(3 * watchdog)
}

func TestNotifierIsQuietWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	n := newNotifier(t)
	n.Ready()
	n.Feed(context.Background(), func(context.Context) error { t.Error("asked"); return nil }) // returns
	n.Stopping()
}

func TestNotifierRefusesAnIntervalThatIsNone(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "often")
	if _, err := NewNotifier(slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error")
	}
}
