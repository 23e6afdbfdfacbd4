package aggregate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// played is a member's hold over so many rounds, thirty seconds apart, in which kube-apiserver reaches it when reached says so. It
// returns for how many rounds the API was registered in vain, and how often it was taken out.
func played(rounds int, reached func(time.Duration) bool) (vain, out int) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var h hold
	was := false
	for i := range rounds {
		since := time.Duration(i) * 30 * time.Second
		now := begun.Add(since)
		if h.letGo(now) {
			if !was {
				out++
			}
			was = true
			continue
		}
		was = false
		s := Standing{Status: metav1.ConditionTrue, Reason: ReasonRegistered}
		if !reached(since) {
			s.Reason = ReasonNotAvailable
			vain++
		}
		h = h.after(s, now, DefaultLife)
	}
	return vain, out
}

func TestAMemberThatIsNotReachedLetsItsClusterGo(t *testing.T) {
	const day = 2880 // rounds
	never := func(time.Duration) bool { return false }
	vain, out := played(day, never)
	if out < 20 || out > 32 {
		t.Errorf("in a day it was taken out %d times: about once an hour is enough to be found again", out)
	}
	if held := time.Duration(vain) * 30 * time.Second; held > 40*time.Minute {
		t.Errorf("in a day it held up namespaces for %s", held)
	}
}

func TestAMemberThatIsReachedNowAndThenIsKept(t *testing.T) {
	for name, reached := range map[string]func(time.Duration) bool{
		"always":                         func(time.Duration) bool { return true },
		"but for four minutes":           func(d time.Duration) bool { return d < time.Hour || d > time.Hour+4*time.Minute },
		"every other time it is tried":   func(d time.Duration) bool { return d/(30*time.Second)%2 == 0 },
		"from the fourth minute onwards": func(d time.Duration) bool { return d >= 4*time.Minute },
	} {
		if _, out := played(2880, reached); out != 0 {
			t.Errorf("reached %s, it is taken out %d times", name, out)
		}
	}
}

func TestAMemberThatIsReachedAgainComesBackAndIsForgiven(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	good, bad := Standing{Reason: ReasonRegistered}, Standing{Reason: ReasonNotAvailable}
	h := hold{}.after(bad, begun, DefaultLife).after(bad, begun.Add(DefaultLife), DefaultLife)
	if !h.letGo(begun.Add(DefaultLife)) || h.letGo(begun.Add(2*DefaultLife)) {
		t.Fatalf("%+v", h)
	}
	back := begun.Add(2 * DefaultLife)
	if got := h.after(bad, back, DefaultLife).after(bad, back.Add(trialTime), DefaultLife); !got.letGo(back.Add(trialTime + 2*DefaultLife - 1)) {
		t.Errorf("a trial in vain is no longer rest: %+v", got)
	}
	for name, s := range map[string]Standing{"nothing is known": {}, "the cluster does not answer": {Reason: ReasonNotReached}} {
		if got := h.after(s, back.Add(time.Hour), DefaultLife); got.letGo(back.Add(time.Hour)) {
			t.Errorf("%s, and it lets go", name)
		}
	}
	if got := h.after(good, back, DefaultLife).after(bad, back.Add(time.Minute), DefaultLife).after(bad, back.Add(time.Minute+trialTime), DefaultLife); !got.letGo(back.Add(2 * time.Minute)) {
		t.Errorf("reached for a moment, it has the patience of one that always was: %+v", got)
	}
	if got := h.after(good, back, DefaultLife).after(good, back.Add(DefaultLife), DefaultLife); got.rests != 0 {
		t.Errorf("reached for a life, it is not forgiven: %+v", got)
	}
}
