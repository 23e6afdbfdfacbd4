package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// A wave of shop has been healthy for 4 of 5 minutes when another member leads, whose clock may be off.
func TestANewLeaderBelievesWhatTheLogTellsOfASoak(t *testing.T) {
	for name, c := range map[string]struct {
		off, logged time.Duration // of the new leader's clock, and how long ago anything was written
		left        time.Duration
	}{
		"its clock is right, and something was just written": {left: time.Minute},
		"its clock is right, and nothing was written since":  {logged: time.Hour, left: 5 * time.Minute},
		"its clock is an hour ahead":                         {off: time.Hour, left: time.Minute},
		"it is an hour ahead, and nothing was written since": {off: time.Hour, logged: time.Hour, left: 5 * time.Minute},
		"another was an hour ahead before it":                {logged: -time.Hour, left: time.Minute},
		"something was written while it was healthy":         {off: time.Hour, logged: 3 * time.Minute, left: 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := sixClusters(t)
			w.apply("shop").Spec.Rollout = &v1alpha1.BundleRollout{Soak: &metav1.Duration{Duration: 5 * time.Minute}}
			w.rest()
			w.obeyAll()
			w.rest()
			w.later(4 * time.Minute)
			w.logged = w.now.Add(-c.logged)
			w.now = w.now.Add(c.off)
			w.began = w.now
			w.later(c.left - time.Second)
			w.rest()
			if r := w.newest("shop"); r.Status.Waves[0].Settled != nil {
				t.Errorf("%s before its time it is settled", time.Second)
			}
			w.later(time.Second)
			w.rest()
			if r := w.newest("shop"); r.Status.Waves[0].Settled == nil {
				t.Errorf("it is not settled: %s", w)
			}
		})
	}
}

func TestANewLeadersClockMakesNoFailureOfADip(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop")
	w.rest()
	w.obey("ap1", "shop", v1alpha1.HealthFailed)
	w.rest()
	w.later(time.Hour)
	w.began = w.now
	w.rest()
	if r := w.newest("shop"); r.Status.Stops != 0 {
		t.Errorf("%s", w)
	}
	w.later(6 * time.Second)
	w.rest()
	if r := w.newest("shop"); r.Status.Stops != 1 {
		t.Errorf("%s", w)
	}
}
