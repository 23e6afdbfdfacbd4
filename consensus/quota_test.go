package consensus

import (
	"testing"
	"time"
)

func TestABucketFillsWithTime(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	type take struct {
		ms   int     // when
		n    float64 // how many
		wait int     // ms until it passes; 0: at once
	}
	for name, takes := range map[string][]take{
		"a burst passes, what comes next waits":        {{0, 100, 0}, {0, 1, 1}, {5, 1, 0}},
		"more than the burst passes once, and is owed": {{0, 300, 0}, {0, 1, 201}, {100, 1, 101}, {202, 1, 0}},
		"no more is saved than the burst":              {{0, 100, 0}, {60_000, 100, 0}, {60_000, 1, 1}},
		"a steady rate passes for ever":                {{0, 10, 0}, {10, 10, 0}, {20, 10, 0}, {30, 10, 0}, {40, 10, 0}},
		"a clock that goes back gives nothing":         {{1000, 100, 0}, {0, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			const rate, burst = 1000, 100
			var b tokens
			for _, c := range takes {
				got := b.wait(at(c.ms), rate, burst)
				if want := time.Duration(c.wait) * time.Millisecond; got != want {
					t.Fatalf("at %d ms it waits %s, not %s", c.ms, got, want)
				}
				if got == 0 {
					b = b.take(at(c.ms), c.n, rate)
				}
			}
		})
	}
}

func TestAMemberHasABoundedNumberOfRequestsInWork(t *testing.T) {
	q, now := newQuotas(DefaultQuota()), time.Unix(1, 0)
	var done []func()
	for range requestsAtOnce {
		d, err := q.enter("m", nil, now)
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, d)
	}
	if _, err := q.enter("m", nil, now); told(err) != crowded {
		t.Errorf("one more: %v", err)
	}
	if _, err := q.enter("other", nil, now); err != nil {
		t.Errorf("another member: %v", err)
	}
	done[0]()
	if _, err := q.enter("m", nil, now); err != nil {
		t.Errorf("after one was answered: %v", err)
	}
}
