package agent

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

// TestWhatARolloutOnlySaysToPeopleIsWrittenOnceInAWhile: of a thousand that wait in a queue, each change of what they wait for would else be a
// thousand writes.
func TestWhatARolloutOnlySaysToPeopleIsWrittenOnceInAWhile(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		says    func(*v1alpha1.RolloutStatus)
		limited bool
	}{
		"its message":                {func(s *v1alpha1.RolloutStatus) { s.Message = "it waits for shop" }, true},
		"what it waits for":          {func(s *v1alpha1.RolloutStatus) { s.Reason = v1alpha1.RolloutWaitsForWord }, true},
		"since when":                 {func(s *v1alpha1.RolloutStatus) { s.Since = &metav1.Time{Time: now} }, true},
		"the cluster that keeps it":  {func(s *v1alpha1.RolloutStatus) { s.Blocked = "fra" }, true},
		"what is decided from later": {func(s *v1alpha1.RolloutStatus) { s.InChange = []string{"eu"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "shop-1"}}
			before.Status.Reason = v1alpha1.RolloutWaitsForTurn
			after := before.DeepCopy()
			c.says(&after.Status)
			step := plan.Step{Bundle: "shop", Rollouts: []*v1alpha1.Rollout{after}}
			s := scene{plan: plan.Scene{Now: now}, rollouts: []decoded.Object[v1alpha1.Rollout]{{Key: "shop-1", Value: before}}}
			l := &leader{statusWritten: map[string]time.Time{"shop-1": now.Add(1 - statusPause)}}
			if got := l.due(s, step); got == c.limited {
				t.Errorf("just written, it is due: %v", got)
			}
			if s.plan.Now = s.plan.Now.Add(statusPause); !l.due(s, step) {
				t.Error("a while later, it is not due")
			}
		})
	}
}
