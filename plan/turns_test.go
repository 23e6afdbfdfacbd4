package plan

import (
	"testing"
	"time"
)

func TestATurnPassesOnFromWhoDoesNothing(t *testing.T) {
	type seen struct {
		after time.Duration
		on    string
		left  int
	}
	for name, c := range map[string]struct {
		seen  []seen
		stuck bool
	}{
		"it does nothing for a minute":            {[]seen{{0, "ams", 3}, {time.Minute, "ams", 3}}, true},
		"for less":                                {[]seen{{0, "ams", 3}, {time.Minute - 1, "ams", 3}}, false},
		"it does a part":                          {[]seen{{0, "ams", 3}, {50 * time.Second, "ams", 2}, {time.Minute, "ams", 2}}, false},
		"it does a part, and then nothing":        {[]seen{{0, "ams", 3}, {50 * time.Second, "ams", 2}, {110 * time.Second, "ams", 2}}, true},
		"more comes, and it does nothing":         {[]seen{{0, "ams", 3}, {50 * time.Second, "ams", 5}, {time.Minute, "ams", 4}, {2 * time.Minute, "ams", 4}}, true},
		"it was done, and more comes":             {[]seen{{0, "ams", 3}, {50 * time.Second, "", 0}, {time.Minute, "ams", 3}}, false},
		"it was another one's turn meanwhile":     {[]seen{{0, "ams", 3}, {50 * time.Second, "fra", 3}, {time.Minute, "ams", 3}}, false},
		"another one does nothing":                {[]seen{{0, "fra", 3}, {time.Minute, "fra", 3}}, false},
		"it did nothing once, some time ago":      {[]seen{{0, "ams", 3}, {time.Minute, "ams", 3}, {11 * time.Minute, "", 0}}, false},
		"it did nothing, and another one's is it": {[]seen{{0, "ams", 3}, {time.Minute, "ams", 3}, {2 * time.Minute, "fra", 3}}, true},
		"nobody waited":                           {nil, false},
	} {
		var turns Turns
		begun, now := time.Unix(9000, 0), time.Unix(9000, 0)
		for _, s := range c.seen {
			now = begun.Add(s.after)
			turns.Waits("seal", 2, s.on, s.left, now)
		}
		if turns.Stuck("ams", now) != c.stuck || turns.Stuck("iad", now) {
			t.Errorf("%s: ams is passed over: %v", name, !c.stuck)
		}
	}
}

func TestWhatWaitsIsTimedByWhatItIs(t *testing.T) {
	var turns Turns
	now := time.Unix(9000, 0)
	turns.Waits("key", 2, "ams", 1, now)
	turns.Waits("seal", 2, "ams", 3, now.Add(50*time.Second))
	if turns.Waits("seal", 2, "ams", 3, now.Add(time.Minute)); turns.Stuck("ams", now.Add(time.Minute)) {
		t.Error("what waits for ten seconds is passed over")
	}
	if turns.Waits("key", 2, "ams", 1, now.Add(time.Minute)); !turns.Stuck("ams", now.Add(time.Minute)) {
		t.Error("what waits for a minute is not")
	}
	turns = Turns{}
	turns.Waits("seal", 2, "ams", 3, now)
	if turns.Waits("seal", 3, "ams", 3, now.Add(time.Minute)); turns.Stuck("ams", now.Add(time.Minute)) {
		t.Error("what waits for another key is timed by the one before")
	}
}
