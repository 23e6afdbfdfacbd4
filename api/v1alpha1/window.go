package v1alpha1

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
	_ "time/tzdata" // a member's image need not have time zones

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// RolloutWindow is a time of the week in which waves may begin. What has begun is finished.
type RolloutWindow struct {
	// days on which it begins: Monday to Sunday. Without any, every day.
	// +optional
	// +listType=set
	Days []Day `json:"days,omitempty"`
	// start is when it begins, as clocks show there: 09:00. Without it, 00:00.
	// +optional
	Start string `json:"start,omitempty"`
	// end is when it ends: 17:30. Without it, 24:00. One that is before the start is on the day after.
	// +optional
	End string `json:"end,omitempty"`
	// timeZone is where the clocks are, a name of the IANA database: Europe/Berlin. Without it, UTC.
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
}

// Day of the week.
// +enum
type Day string

// The days.
const (
	Monday    Day = "Monday"
	Tuesday   Day = "Tuesday"
	Wednesday Day = "Wednesday"
	Thursday  Day = "Thursday"
	Friday    Day = "Friday"
	Saturday  Day = "Saturday"
	Sunday    Day = "Sunday"
)

var days = []Day{Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday}

// Hours are the minutes of a day at which the window begins and ends. It ends on the day after when the end is not behind the start.
func (w RolloutWindow) Hours() (start, end int, err error) {
	if start, err = minuteOf(cmp.Or(w.Start, "00:00")); err == nil {
		end, err = minuteOf(cmp.Or(w.End, "24:00"))
	}
	return start, end, err
}

// minuteOf reads what a clock shows: 09:30, or 24:00 at the end of a day.
func minuteOf(clock string) (int, error) {
	if len(clock) != len("09:30") || clock[2] != ':' {
		return 0, fmt.Errorf("read time %q: must be as 09:30", clock)
	}
	hour, err := strconv.ParseUint(clock[:2], 10, 8)
	if err != nil {
		return 0, fmt.Errorf("read hour: %w", err)
	}
	minute, err := strconv.ParseUint(clock[3:], 10, 8)
	if err != nil {
		return 0, fmt.Errorf("read minute: %w", err)
	}
	if at := int(hour*60 + minute); minute < 60 && at <= dayMinutes {
		return at, nil
	}
	return 0, fmt.Errorf("read time %q: no clock shows it", clock)
}

const (
	dayMinutes = 24 * 60
	maxWindows = 32
)

// validateWindows checks windows at the door. The law does not: which time zones there are differs from one build of Hanse to the next, and
// members of both must judge alike.
func validateWindows(at *field.Path, windows []RolloutWindow) (errs field.ErrorList) {
	if len(windows) > maxWindows {
		return field.ErrorList{field.TooMany(at, len(windows), maxWindows)}
	}
	for i, w := range windows {
		errs = append(errs, validateWindow(at.Index(i), w)...)
	}
	return errs
}

func validateWindow(at *field.Path, w RolloutWindow) (errs field.ErrorList) {
	seen := map[Day]bool{}
	for i, d := range w.Days {
		errs = append(errs, validateEnum(at.Child("days").Index(i), d, days...)...)
		if seen[d] {
			errs = append(errs, field.Duplicate(at.Child("days").Index(i), d))
		}
		seen[d] = true
	}
	errs = append(errs, validateHours(at, w)...)
	if _, err := time.LoadLocation(w.TimeZone); err != nil || w.TimeZone == "Local" {
		errs = append(errs, field.Invalid(at.Child("timeZone"), w.TimeZone, "must be a name of the IANA time zone database, as Europe/Berlin"))
	}
	return errs
}

func validateHours(at *field.Path, w RolloutWindow) field.ErrorList {
	start, err := minuteOf(cmp.Or(w.Start, "00:00"))
	if err != nil || start == dayMinutes {
		return field.ErrorList{field.Invalid(at.Child("start"), w.Start, "must be a time from 00:00 to 23:59")}
	}
	end, err := minuteOf(cmp.Or(w.End, "24:00"))
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(at.Child("end"), w.End, "must be a time from 00:00 to 24:00")}
	case start == end:
		return field.ErrorList{field.Invalid(at.Child("end"), w.End, "must not be the start; a whole day is from 00:00 to 24:00")}
	}
	return nil
}
