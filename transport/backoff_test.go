package transport

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestPauseDoublesUpToItsBound(t *testing.T) {
	timing := DefaultTiming()
	var got []time.Duration
	for n := range 8 {
		got = append(got, pause(timing, n+1))
	}
	ms := time.Millisecond
	want := []time.Duration{200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms, 5000 * ms}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := pause(timing, 1<<40); got != timing.BackoffMax {
		t.Errorf("after very many failures: %s", got)
	}
}

func TestJitterTakesOffUpToHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "pause"))
		got := jitter(d, rapid.Float64Range(0, 0.999999).Draw(t, "random"))
		if got < d/2 || got > d {
			t.Fatalf("%s became %s", d, got)
		}
	})
}

func TestBackoffBelongsToItsAddresses(t *testing.T) {
	now := time.Now()
	old, fresh := []string{"a:1"}, []string{"a:2"}
	var b backoff
	if b.wait(now, old) != 0 {
		t.Error("waits before any failure")
	}
	for range 4 {
		b.fail(now, DefaultTiming(), old, errors.New("no"))
	}
	if wait := b.wait(now, old); wait < 800*time.Millisecond {
		t.Errorf("waits %s after four failures", wait)
	}
	if b.wait(now, fresh) != 0 {
		t.Error("a new address has to wait")
	}
	if b.wait(now.Add(5*time.Second), old) != 0 {
		t.Error("waits for ever")
	}
	b.fail(now, DefaultTiming(), fresh, errors.New("no"))
	if wait := b.wait(now, fresh); wait > 200*time.Millisecond {
		t.Errorf("a new address inherits failures: %s", wait)
	}
}

func TestDialsToDeadPeerAreFewAndNotInStep(t *testing.T) {
	inBubble(t, func(f *fleet) {
		var times []time.Time
		a := f.add("a", func(c *Config) {
			c.Resolve = func(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
				times = append(times, time.Now()) // dials of one route never overlap
				return nil, errors.New("no such name")
			}
		})
		b := f.add("b")
		a.directory.set("b", b.id.Pin(), "b.example:7000")
		for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(time.Millisecond) {
			if a.tryOpen("b", Control) == nil {
				t.Fatal("opened")
			}
		}
		if n := len(times); n < 12 || n > 32 {
			t.Errorf("%d dials in a minute", n)
		}
		gaps := map[time.Duration]bool{}
		for i := len(times) - 5; i < len(times); i++ {
			gaps[times[i].Sub(times[i-1])] = true
		}
		if len(gaps) < 2 {
			t.Error("pauses are all the same: no jitter")
		}
		b.ping(a, Control) // its own call ends the waiting
		a.ping(b, Control)
	})
}

func TestResolveAll(t *testing.T) {
	table := map[string][]netip.AddrPort{
		"two:1":  {netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[2001:db8::1]:1")},
		"same:1": {netip.MustParseAddrPort("10.0.0.1:1")},
	}
	resolve := func(ctx context.Context, a string) ([]netip.AddrPort, error) {
		if list, ok := table[a]; ok {
			return list, nil
		}
		if strings.HasPrefix(a, "hangs") {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, errors.New("no such name")
	}
	virtual.Test(t, func(t *testing.T) {
		start := time.Now()
		got, err := resolveAll(t.Context(), resolve, []string{"none:1", "hangs:1", "two:1", "same:1"}, time.Second)
		if diff := cmp.Diff(table["two:1"], got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s", took)
		}
		if _, err := resolveAll(t.Context(), resolve, []string{"none:1"}, time.Second); err == nil || !strings.Contains(err.Error(), "none:1") {
			t.Errorf("nothing resolves: %v", err)
		}
	})
}

func TestResolveTakesAddressesAsTheyAre(t *testing.T) {
	for text, want := range map[string]string{"10.0.0.1:7": "10.0.0.1:7", "[::1]:7": "[::1]:7", "[::ffff:10.0.0.1]:7": "10.0.0.1:7"} {
		got, err := Resolve(t.Context(), text)
		if err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "10.0.0.1", "10.0.0.1:", "10.0.0.1:http", ":7", "10.0.0.1:70000"} {
		if _, err := Resolve(t.Context(), bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestConfigIsValidated(t *testing.T) {
	socket := loopback{}.listen(t)
	defer socket.Close()
	good := Config{Identity: newTestIdentity(t, "m"), Directory: &directory{}, Conn: socket}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no identity":             func(c *Config) { c.Identity = Identity{} },
		"no directory":            func(c *Config) { c.Directory = nil },
		"no socket":               func(c *Config) { c.Conn = nil },
		"negative dial":           func(c *Config) { c.Timing.Dial = -1 },
		"idle within a keepalive": func(c *Config) { c.Timing.KeepAlive = 4 * time.Second },
		"back-off upside down":    func(c *Config) { c.Timing.BackoffMin = time.Hour },
	} {
		bad := good
		change(&bad)
		if e, err := Listen(bad); err == nil {
			e.Close()
			t.Errorf("%s: taken", name)
		}
	}
}

func TestHandleRefusesMistakesOfTheProgram(t *testing.T) {
	f := &fleet{TB: t, network: loopback{}}
	defer f.close()
	m := f.add("m")
	for _, kind := range []string{"echo", "", "No Kind"} { // echo has a handler
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", kind)
				}
			}()
			m.Handle(kind, echo)
		}()
	}
}
