package v1alpha1

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestForHowLongAnUnreachableClusterIsTolerated(t *testing.T) {
	of := func(seconds int64) Toleration {
		return Toleration{Key: TaintUnreachable, Operator: TolerationExists, Effect: TaintNoExecute, TolerationSeconds: &seconds}
	}
	for name, row := range map[string]struct {
		tolerations []Toleration
		want        time.Duration
		ever        bool
	}{
		"nobody says":            {nil, 5 * time.Minute, false},
		"another taint":          {[]Toleration{{Key: "gpu", Operator: TolerationExists}}, 5 * time.Minute, false},
		"no time is said":        {[]Toleration{{Key: TaintUnreachable, Operator: TolerationExists}}, 0, true},
		"every taint":            {[]Toleration{{Operator: TolerationExists}}, 0, true},
		"a minute":               {[]Toleration{of(60)}, time.Minute, false},
		"the shortest of two":    {[]Toleration{of(600), of(60)}, time.Minute, false},
		"ever, and then a while": {[]Toleration{{Operator: TolerationExists}, of(60)}, time.Minute, false},
		"what is to come only":   {[]Toleration{{Key: TaintUnreachable, Operator: TolerationExists, Effect: TaintNoSchedule}}, 5 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ever := (Placement{Tolerations: row.tolerations}).Tolerated(); got != row.want || ever != row.ever {
				t.Errorf("%s, ever %v", got, ever)
			}
		})
	}
}

func TestWhatAnEvictionMaySay(t *testing.T) {
	for what, row := range map[string]struct {
		eviction Eviction
		faults   []string
	}{
		"nothing":           {Eviction{}, nil},
		"all of it":         {Eviction{PerMinute: 60, MaxPercent: 100, HoldDown: &metav1.Duration{}}, nil},
		"too many a minute": {Eviction{PerMinute: 61}, []string{"spec.rollout.eviction.perMinute"}},
		"more than all":     {Eviction{MaxPercent: 101}, []string{"spec.rollout.eviction.maxPercent"}},
		"back in time":      {Eviction{HoldDown: &metav1.Duration{Duration: -1}}, []string{"spec.rollout.eviction.holdDown"}},
	} {
		t.Run(what, func(t *testing.T) {
			f := &Fleet{ObjectMeta: named("acme"), Spec: FleetSpec{Rollout: &FleetRollout{Eviction: &row.eviction}}}
			SetFleetDefaults(f)
			expectFaults(t, ValidateFleet(f, "acme"), row.faults...)
		})
	}
}
