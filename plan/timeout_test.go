package plan_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/plan"
)

const ms = time.Millisecond

func TestTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		voters []plan.Figures
		want   time.Duration
	}{
		"nothing is known":            {nil, 250 * ms},
		"a room":                      {[]plan.Figures{{RTT99: ms, Fsync999: 5 * ms}}, 250 * ms},
		"a continent":                 {[]plan.Figures{{RTT99: 40 * ms}, {RTT99: 30 * ms}}, 250 * ms},
		"the farthest counts":         {[]plan.Figures{{RTT99: 82 * ms}, {RTT99: 10 * ms}}, 488 * ms},
		"the slowest disk counts":     {[]plan.Figures{{RTT99: ms}, {Fsync999: 200 * ms}}, 954 * ms},
		"half the longest lease":      {[]plan.Figures{{Lease: time.Second}, {Lease: 250 * ms}}, 610 * ms},
		"nobody makes it very long":   {[]plan.Figures{{RTT99: time.Hour}}, 5 * time.Second},
		"a step itself stays":         {[]plan.Figures{{Fsync999: 78125 * time.Microsecond}}, 313 * ms},
		"negative figures do nothing": {[]plan.Figures{{RTT99: -time.Hour, Fsync999: -time.Hour}}, 250 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan.Timeout(c.voters); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestTimeoutFitsTheFigures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rtt := time.Duration(rapid.IntRange(0, 900).Draw(t, "rtt")) * ms
		fsync := time.Duration(rapid.IntRange(0, 1200).Draw(t, "fsync")) * ms
		got := plan.Timeout([]plan.Figures{{RTT99: rtt}, {Fsync999: fsync}})
		if least := max(250*ms, 5*rtt, 4*fsync); got < least && got != 5*time.Second || got > least*5/4+ms {
			t.Fatalf("%s for round trips of %s and syncs of %s", got, rtt, fsync)
		}
	})
}

func TestPaceGrowsAtOnceAndShrinksAfterAWhile(t *testing.T) {
	at := time.Unix(0, 0)
	p := plan.Pace{Timeout: 500 * ms}
	for i, s := range []struct {
		after  time.Duration
		wanted time.Duration
		want   time.Duration
	}{
		{time.Second, 800 * ms, 800 * ms},
		{time.Second, 250 * ms, 800 * ms},
		{20 * time.Second, 300 * ms, 800 * ms},
		{9 * time.Second, 250 * ms, 800 * ms},
		{2 * time.Second, 250 * ms, 300 * ms}, // the longest of the last half minute
		{time.Second, 250 * ms, 300 * ms},
		{20 * time.Second, 300 * ms, 300 * ms}, // begins anew
		{20 * time.Second, 250 * ms, 300 * ms},
	} {
		at = at.Add(s.after)
		if p = p.Next(at, s.wanted); p.Timeout != s.want {
			t.Errorf("step %d: %s, want %s", i, p.Timeout, s.want)
		}
	}
}
