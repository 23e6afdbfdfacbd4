package agent

import (
	"encoding/json"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Each list of it names every cluster of the largest fleet, by names as long as can be, each in a wave of its own.
func TestTheLargestRolloutFitsIntoTheLog(t *testing.T) {
	var r v1alpha1.Rollout
	var all []string
	now := &metav1.Time{}
	for i := range store.MaxMembers {
		name := fmt.Sprintf("%063d", i)
		all = append(all, name)
		w := v1alpha1.Wave{Domain: name, Clusters: []string{name}, Withdraw: []string{name}, Revision: name, Stage: name}
		r.Spec.Waves, r.Spec.Carried = append(r.Spec.Waves, w), append(r.Spec.Carried, w)
		r.Status.Waves = append(r.Status.Waves, v1alpha1.WaveStatus{
			Granted: now, Due: now, Healthy: now, Failing: now, Settled: now, Late: []string{name}, Failed: []string{name}, Waiting: []string{name},
		})
	}
	r.Spec.Without, r.Spec.Orders.Despite, r.Spec.Orders.Without, r.Spec.Orders.Approved = all, all, all, all
	r.Status.InChange, r.Status.Lost, r.Status.Owed = all, all, all
	value, err := json.Marshal(r)
	if err != nil || len(value) > store.MaxValue {
		t.Errorf("%d KiB, and a value of the log is %d KiB at most: %v", len(value)>>10, store.MaxValue>>10, err)
	}
	t.Logf("%d KiB", len(value)>>10)
}
