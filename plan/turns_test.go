package plan

import (
	"slices"
	"testing"
	"time"
)

func TestATurnPassesOnFromWhoDoesNothing(t *testing.T) {
	type seen struct {
		after time.Duration
		on    string
		done  int
	}
	for name, c := range map[string]struct {
		seen  []seen
		stuck bool
	}{
		"it does nothing for a minute":            {[]seen{{0, "ams", 3}, {time.Minute, "ams", 3}}, true},
		"for less":                                {[]seen{{0, "ams", 3}, {time.Minute - 1, "ams", 3}}, false},
		"it does a part":                          {[]seen{{0, "ams", 3}, {50 * time.Second, "ams", 4}, {time.Minute, "ams", 4}}, false},
		"it does a part, and then nothing":        {[]seen{{0, "ams", 3}, {50 * time.Second, "ams", 4}, {110 * time.Second, "ams", 4}}, true},
		"what it did is gone, and it does a part": {[]seen{{0, "ams", 3}, {50 * time.Second, "ams", 1}, {time.Minute, "ams", 2}, {110 * time.Second, "ams", 2}}, false},
		"and then nothing":                        {[]seen{{0, "ams", 3}, {50 * time.Second, "ams", 1}, {time.Minute, "ams", 2}, {2 * time.Minute, "ams", 2}}, true},
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
			turns.Waits("seal", 2, map[string]int{s.on: s.done}, now)
		}
		if turns.Stuck("ams", now) != c.stuck || turns.Stuck("iad", now) {
			t.Errorf("%s: ams is passed over: %v", name, !c.stuck)
		}
	}
}

func TestWhatWaitsIsTimedByWhatItIs(t *testing.T) {
	var turns Turns
	now := time.Unix(9000, 0)
	turns.Waits("key", 2, map[string]int{"ams": 1}, now)
	turns.Waits("seal", 2, map[string]int{"ams": 3}, now.Add(50*time.Second))
	if turns.Waits("seal", 2, map[string]int{"ams": 3}, now.Add(time.Minute)); turns.Stuck("ams", now.Add(time.Minute)) {
		t.Error("what waits for ten seconds is passed over")
	}
	if turns.Waits("key", 2, map[string]int{"ams": 1}, now.Add(time.Minute)); !turns.Stuck("ams", now.Add(time.Minute)) {
		t.Error("what waits for a minute is not")
	}
	turns = Turns{}
	turns.Waits("seal", 2, map[string]int{"ams": 3}, now)
	if turns.Waits("seal", 3, map[string]int{"ams": 3}, now.Add(time.Minute)); turns.Stuck("ams", now.Add(time.Minute)) {
		t.Error("what waits for another key is timed by the one before")
	}
}

func TestTwoThatAreWaitedForAtOnceAreTimedApart(t *testing.T) {
	var turns Turns
	now := time.Unix(9000, 0)
	for i, done := range []map[string]int{{"ams": 0, "fra": 3}, {"ams": 1, "fra": 3}, {"ams": 2, "fra": 3, "iad": 0}} {
		if passed := turns.Waits("confirm", 2, done, now.Add(time.Duration(i)*30*time.Second)); (i == 2) != slices.Equal(passed, []string{"fra"}) {
			t.Errorf("look %d: %v are passed over", i+1, passed)
		}
	}
	now = now.Add(time.Minute)
	if !turns.Stuck("fra", now) || turns.Stuck("ams", now) || turns.Stuck("iad", now) {
		t.Error("fra alone does nothing")
	}
	for i := range 3 { // it is told once for as long as it is
		if passed := turns.Waits("seal", 2, map[string]int{"fra": 1}, now.Add(time.Duration(i)*time.Minute)); passed != nil {
			t.Errorf("%v are passed over again", passed)
		}
	}
}
