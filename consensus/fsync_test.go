package consensus

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFsyncs(t *testing.T) {
	at := time.Unix(0, 0)
	var f fsyncs
	if got := f.p999(at); got != 0 {
		t.Errorf("%s of nothing", got)
	}
	for range 9990 {
		f.note(2*time.Millisecond, at)
	}
	for range 9 {
		f.note(time.Second, at)
	}
	if got := f.p999(at); got < 2*time.Millisecond || got > 3*time.Millisecond {
		t.Errorf("%s, and less than one in a thousand was longer than 2 ms", got)
	}
	for range 9 {
		f.note(time.Second, at)
	}
	if got := f.p999(at); got < time.Second || got > 1300*time.Millisecond {
		t.Errorf("%s, and more than one in a thousand took a second", got)
	}
	if got := f.p999(at.Add(fsyncAge + time.Second)); got < time.Second {
		t.Errorf("%s: forgotten too early", got)
	}
	if got := f.p999(at.Add(3 * fsyncAge)); got != 0 {
		t.Errorf("%s of nothing lately", got)
	}
}

func TestFsyncBucketsAreAFifthWideAtMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(4_000, 600_000_000_000).Draw(t, "duration")).Truncate(time.Microsecond)
		end := upper(bucket(d))
		if end < d || end > d+d/4+time.Microsecond {
			t.Fatalf("%s is counted as up to %s", d, end)
		}
		if bucket(0) != 0 || bucket(time.Hour*1000) != 127 {
			t.Fatal("the ends")
		}
	})
}
