package agent

import (
	"testing"
	"time"
)

func TestAClockThatIsSetLetsNothingSoakInAMoment(t *testing.T) {
	said := time.Now()
	l := &leader{Core: &Core{now: func() time.Time { return said }}, began: time.Now(), clock: said}
	said = said.Add(24 * time.Hour)
	if passed := l.lasting().Sub(l.clock); passed < 0 || passed > time.Hour {
		t.Errorf("%s passed", passed)
	}
}
