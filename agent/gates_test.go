package agent

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

func TestAGateIsAskedOnceAtATime(t *testing.T) {
	r := newGateReadings()
	ask := plan.Ask{Rollout: "shop-1", Gate: v1alpha1.RolloutGate{Name: "errors"}}
	other := plan.Ask{Rollout: "shop-1", Gate: v1alpha1.RolloutGate{Name: "slow"}}
	if !r.begin(ask) || r.begin(ask) || !r.begin(other) {
		t.Error("one that has not answered is asked again, or keeps another from being asked")
	}
	if r.end(ask); !r.begin(ask) {
		t.Error("it has answered, and is not asked again")
	}
}

func TestReadingsGoWithTheirRollout(t *testing.T) {
	r := newGateReadings()
	running, ended := &v1alpha1.Rollout{}, &v1alpha1.Rollout{}
	running.Name, ended.Name, ended.Status.Phase = "shop-2", "shop-1", v1alpha1.RolloutComplete
	for _, name := range []string{"shop-0", "shop-1", "shop-2"} {
		r.put(plan.Ask{Rollout: name, Gate: v1alpha1.RolloutGate{Name: "errors"}}, plan.Reading{Passes: true})
	}
	r.forget([]decoded.Object[v1alpha1.Rollout]{{Value: ended}, {Value: running}})
	if len(r.by) != 1 || !r.by["shop-2"]["errors"].Passes {
		t.Errorf("%v", r.by)
	}
}
