package reconcile

import (
	"testing"
	"time"
)

func TestALookThatTakesLongIsNotMadeAgainAtOnce(t *testing.T) {
	begun := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct{ took, changed, undisturbed time.Duration }{
		"a small bundle":      {100 * time.Millisecond, 2 * time.Second, 30 * time.Second},
		"a large bundle":      {time.Second, 10 * time.Second, 30 * time.Second},
		"a very large bundle": {5 * time.Second, 30 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bundle{s: &session{timing: Timing{}.completed()}}
			ended := begun.Add(c.took)
			b.lookLater(begun, ended)
			if got := b.lookAt.Sub(ended); got != c.undisturbed {
				t.Errorf("undisturbed, it is let be for %s", got)
			}
			b.lookSooner()
			if got := b.lookAt.Sub(ended); got != c.changed {
				t.Errorf("after a change, it is let be for %s, want %s", got, c.changed)
			}
		})
	}
	b := &bundle{s: &session{timing: Timing{}.completed()}}
	if b.lookSooner(); !b.lookAt.IsZero() {
		t.Error("the first look is put off")
	}
}
