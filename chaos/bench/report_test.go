package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestARatioAboveOneMeansThatOursIsBetter(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name       string
		unit       unit
		ours, peer []float64
		goal       *target
		ratio      float64
		met        *bool
	}{
		{"twice as many a second", aSecond, []float64{30, 10, 20}, []float64{10}, atLeast(2), 2, &yes},
		{"half as many a second", aSecond, []float64{5}, []float64{10}, atLeast(1), 0.5, &no},
		{"half the time", inMilliseconds, []float64{1, 3}, []float64{4}, atMost(2, inMilliseconds), 2, &yes},
		{"without a peer", inMilliseconds, []float64{3}, nil, atMost(2, inMilliseconds), 0, &no},
		{"without a goal", inMilliseconds, []float64{3}, []float64{3}, nil, 1, nil},
	} {
		r := newRow(c.name, c.unit, c.ours, c.peer, c.goal)
		if r.Ratio != c.ratio {
			t.Errorf("%s: ratio %g, not %g", c.name, r.Ratio, c.ratio)
		}
		if diff := cmp.Diff(c.met, r.Met); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestARowIsOneLineOfTheTable(t *testing.T) {
	got := newRow("writes", aSecond, []float64{1234}, []float64{1000}, atLeast(2)).String()
	if diff := cmp.Diff([]string{"writes", "1234", "/s", "1000", "/s", "1.23×", "≥", "2×", "missed"}, strings.Fields(got)); diff != "" {
		t.Error(diff)
	}
}

func TestTheLongestGapIsOneThatTouchesTheChange(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	w := &witness{committed: []time.Time{at(900), at(0), at(400), at(410), at(500)}}
	if got := w.longest(at(405), at(600)); got != 400*time.Millisecond {
		t.Errorf("got %s", got)
	}
	if got := w.longest(at(405), at(450)); got != 90*time.Millisecond {
		t.Errorf("got %s", got)
	}
}
