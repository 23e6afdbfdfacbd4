package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// zoned lets the world know time zones.
func (w *world) zoned() *world {
	decide := w.decide
	w.decide = func(s plan.Situation) []plan.Step {
		s.Zone = time.LoadLocation
		return decide(s)
	}
	return w
}

func instant(t judge, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return at
}

func TestAWaveBeginsInAWindow(t *testing.T) {
	workdays := v1alpha1.RolloutWindow{Days: []v1alpha1.Day{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}, Start: "09:00", End: "17:00", TimeZone: "Europe/Berlin"}
	nights := v1alpha1.RolloutWindow{Days: []v1alpha1.Day{"Friday"}, Start: "22:00", End: "04:00"}
	skipped := v1alpha1.RolloutWindow{Start: "02:15", End: "02:45", TimeZone: "Europe/Berlin"}
	for name, c := range map[string]struct {
		now     string
		windows []v1alpha1.RolloutWindow
		opens   string // "": it is open, never: none opens
	}{
		"a morning in summer":              {"2026-07-06T07:00:00Z", []v1alpha1.RolloutWindow{workdays}, ""},
		"the same hour in winter":          {"2026-01-05T07:00:00Z", []v1alpha1.RolloutWindow{workdays}, "2026-01-05T08:00:00Z"},
		"the end is not in it":             {"2026-07-06T15:00:00Z", []v1alpha1.RolloutWindow{workdays}, "2026-07-07T07:00:00Z"},
		"after the last day of the week":   {"2026-07-10T15:00:00Z", []v1alpha1.RolloutWindow{workdays}, "2026-07-13T07:00:00Z"},
		"the first of two":                 {"2026-07-10T15:00:00Z", []v1alpha1.RolloutWindow{workdays, nights}, "2026-07-10T22:00:00Z"},
		"the night after its day":          {"2026-07-11T03:59:59Z", []v1alpha1.RolloutWindow{nights}, ""},
		"the night before its day":         {"2026-07-10T03:00:00Z", []v1alpha1.RolloutWindow{nights}, "2026-07-10T22:00:00Z"},
		"clocks skip it that day":          {"2026-03-29T00:30:00Z", []v1alpha1.RolloutWindow{skipped}, "2026-03-30T00:15:00Z"},
		"clocks show it twice":             {"2026-10-25T01:20:00Z", []v1alpha1.RolloutWindow{skipped}, ""},
		"a whole day":                      {"2026-07-05T23:59:59Z", []v1alpha1.RolloutWindow{{Days: []v1alpha1.Day{"Sunday"}}}, ""},
		"a place that nobody knows":        {"2026-07-06T07:00:00Z", []v1alpha1.RolloutWindow{{TimeZone: "Mars/Base"}}, "never"},
		"hours that the door would refuse": {"2026-07-06T07:00:00Z", []v1alpha1.RolloutWindow{{Start: "9"}}, "never"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "eu1").zoned()
			w.now = instant(t, c.now)
			w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Windows: c.windows}
			w.rest()
			got := ""
			if wait := w.newest("shop").Status.Wait; wait != nil && wait.Until != nil {
				got = wait.Until.Format(time.RFC3339)
			} else if wait != nil {
				got = "never"
			}
			if _, granted := w.grants["shop"]["eu1"]; got != c.opens || granted != (c.opens == "") {
				t.Errorf("it waits until %q, not %q; granted: %v\n%s", got, c.opens, granted, w)
			}
		})
	}
}

func TestWhatIsUnderWayWhenAWindowClosesIsFinished(t *testing.T) {
	w := sixClusters(t)
	w.now = instant(t, "2026-07-06T16:59:00Z")
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Windows: []v1alpha1.RolloutWindow{{End: "17:00"}}, Domain: v1alpha1.LabelZone}
	w.rest()
	w.later(2 * time.Minute)
	w.settle()
	w.is("ap1 shop 1", "ap2 shop 2", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Running []: it waits for its window, which opens 2026-07-07 00:00Z")
	t.Run("others change meanwhile", func(t *testing.T) {
		w.apply("cart")
		w.settle()
		if r := w.newest("cart"); r.Status.Phase != v1alpha1.RolloutComplete {
			t.Errorf("%s", w)
		}
	})
	w.now = instant(t, "2026-07-07T00:00:00Z")
	w.settle()
	if r := w.newest("shop"); r.Status.Phase != v1alpha1.RolloutComplete || len(w.wrong) > 0 {
		t.Errorf("%s\n%v", w, w.wrong)
	}
}

func TestAStageHasWindowsOfItsOwn(t *testing.T) {
	w := stagedWorld(t)
	w.now = instant(t, "2026-07-06T16:00:00Z")
	stages := canaryFirst()
	stages[0].Windows = []v1alpha1.RolloutWindow{{Start: "12:00"}}
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Windows: []v1alpha1.RolloutWindow{{Start: "18:00"}}, Stages: stages}
	w.settle()
	if r := w.newest("shop"); r.Status.Wait == nil || r.Status.Wait.For != v1alpha1.WaitForApproval {
		t.Fatalf("%s", w)
	}
	w.rollouts["shop-00000001-2"].Spec.Orders.Stages = []string{"prod"}
	w.rest()
	r := w.newest("shop")
	if r.Status.Wait == nil || !strings.Contains(r.Status.Message, "stage prod waits for its window, which opens 2026-07-06 18:00Z") {
		t.Errorf("%s", w)
	}
	r.Spec.Orders.AllAtOnce = true
	w.fleet.MaxDomains = 3
	w.rest()
	if got := w.newest("shop"); got.Status.Wait != nil || got.Status.Wave != 6 {
		t.Errorf("all at once waits for no window: %s", w)
	}
}

func TestAClockThatIsSetRightOpensAWindow(t *testing.T) {
	w := newWorld(t, "eu1")
	w.now = instant(t, "2026-07-06T12:00:00Z")
	ahead := time.Duration(0)
	w.decide = func(s plan.Situation) []plan.Step {
		s.Wall = s.Now.Add(ahead)
		return plan.Decide(s)
	}
	w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Windows: []v1alpha1.RolloutWindow{{Start: "13:00"}}}
	w.rest()
	if _, granted := w.grants["shop"]["eu1"]; granted {
		t.Errorf("%s", w)
	}
	ahead = time.Hour
	w.rest()
	if _, granted := w.grants["shop"]["eu1"]; !granted {
		t.Errorf("%s", w)
	}
}

func TestAWindowOpensWhenItSays(t *testing.T) {
	zones := []string{"", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "America/Havana", "Pacific/Apia"}
	days := []v1alpha1.Day{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	from := instant(t, "2026-01-01T00:00:00Z").Unix()
	rapid.Check(t, func(rt *rapid.T) {
		window := v1alpha1.RolloutWindow{
			Days:     rapid.SliceOfNDistinct(rapid.SampledFrom(days), 0, 3, rapid.ID).Draw(rt, "days"),
			Start:    rapid.StringMatching(`([01][0-9]|2[0-3]):[0-5][0-9]`).Draw(rt, "start"),
			End:      rapid.StringMatching(`([01][0-9]|2[0-3]):[0-5][0-9]`).Draw(rt, "end"),
			TimeZone: rapid.SampledFrom(zones).Draw(rt, "zone"),
		}
		w := newWorld(rt, "eu1").zoned()
		w.now = time.Unix(from+rapid.Int64Range(0, 366*24*3600).Draw(rt, "now"), 0)
		w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Windows: []v1alpha1.RolloutWindow{window}}
		w.rest()
		wait := w.newest("shop").Status.Wait
		if wait == nil {
			return
		}
		if wait.Until == nil || !wait.Until.After(w.now) || wait.Until.After(w.now.Add(9*24*time.Hour)) && len(window.Days) == 0 {
			rt.Fatalf("it opens %v, and it is %s: %+v", wait.Until, w.now, window)
		}
		opens := wait.Until.Time
		w.now = opens.Add(-time.Second)
		w.rest()
		if again := w.newest("shop").Status.Wait; again == nil || !again.Until.Equal(&metav1.Time{Time: opens}) || !again.Since.Equal(&wait.Since) {
			rt.Fatalf("just before %s it says %+v", opens, again)
		}
		w.now = opens
		w.rest()
		if _, granted := w.grants["shop"]["eu1"]; !granted {
			rt.Fatalf("it did not open at %s: %+v\n%s", opens, window, w)
		}
	})
}

// someWindows open and close every few minutes of a life, and stay open after it.
func someWindows() (windows []v1alpha1.RolloutWindow) {
	for minute := 13*60 + 46; minute < 15*60; minute += 6 {
		clock := func(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
		windows = append(windows, v1alpha1.RolloutWindow{Start: clock(minute), End: clock(minute + 3)})
	}
	return append(windows, v1alpha1.RolloutWindow{Start: "15:00", End: "13:00"})
}
