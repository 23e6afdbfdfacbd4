package plan

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// window is a time of the week, by the clocks of a place.
type window struct {
	days       []v1alpha1.Day
	start, end int // minutes of a day
	zone       *time.Location
}

// windowed says whether one of some windows is open now, and else when the first opens: never, as far as one is seen. Without any it is
// always open. What cannot be read does not open: the door refuses it, but not every bundle came through the door.
func (s *Situation) windowed(all []v1alpha1.RolloutWindow) (open bool, opens *metav1.Time) {
	for _, said := range all {
		w, err := s.window(said)
		if err != nil {
			continue
		}
		if w.open(s.Wall) {
			return true, nil
		}
		if at, does := w.next(s.Wall); does && (opens == nil || at.Before(opens.Time)) {
			opens = &metav1.Time{Time: at.UTC()}
		}
	}
	return len(all) == 0, opens
}

func (s *Situation) window(said v1alpha1.RolloutWindow) (w window, err error) {
	w.days, w.zone = said.Days, time.UTC
	if w.start, w.end, err = said.Hours(); err != nil {
		return w, err
	}
	switch {
	case said.TimeZone == "" || said.TimeZone == "UTC":
	case s.Zone == nil:
		return w, fmt.Errorf("find time zone %q: no zones are known", said.TimeZone)
	default:
		w.zone, err = s.Zone(said.TimeZone)
	}
	return w, err
}

// open says whether clocks show a time in the window. An hour that they skip is not shown, and one that they show twice counts twice.
func (w window) open(now time.Time) bool {
	at := now.In(w.zone)
	minute := at.Hour()*60 + at.Minute()
	if w.start < w.end {
		return w.on(at.Weekday()) && w.start <= minute && minute < w.end
	}
	yesterday := (at.Weekday() + 6) % 7
	return w.on(at.Weekday()) && w.start <= minute || w.on(yesterday) && minute < w.end
}

func (w window) on(day time.Weekday) bool {
	return len(w.days) == 0 || slices.Contains(w.days, v1alpha1.Day(day.String()))
}

// next is when a window opens that is closed now: at its start, or, where clocks skip that, up to an hour later.
func (w window) next(now time.Time) (time.Time, bool) {
	at := now.In(w.zone)
	for day := range 15 { // one that is skipped may be the only one of its week
		if !w.on((at.Weekday() + time.Weekday(day)) % 7) {
			continue
		}
		start := time.Date(at.Year(), at.Month(), at.Day()+day, w.start/60, w.start%60, 0, 0, w.zone)
		for later := time.Duration(0); later <= time.Hour; later += time.Minute {
			if opens := start.Add(later); opens.After(now) && w.open(opens) {
				return opens, true
			}
		}
	}
	return time.Time{}, false
}
