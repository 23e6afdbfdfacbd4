package agent

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/report"
)

func TestAWorkSaysWhyItsMemberCannotAct(t *testing.T) {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: "LeaseHeld", Message: "another agent acts in this cluster"}
	s := report.Sighting{ToldAt: time.Now(), Bundles: map[string]report.Bundle{"shop": {Bundle: "shop", Status: v1alpha1.WorkStatus{
		Applied: "shop-1", Health: v1alpha1.HealthUnknown, Conditions: []metav1.Condition{ready},
	}}}}
	w := v1alpha1.Work{Spec: v1alpha1.WorkSpec{Bundle: "shop", Cluster: "sin", Wanted: "shop-1", Granted: "shop-1"}}
	w.Status = statusOf(s, w)
	if c := w.Status.Conditions[0]; c.Reason != "LeaseHeld" || c.Message != ready.Message || c.Status != metav1.ConditionUnknown {
		t.Errorf("the condition is %+v", c)
	}
	if n := countBundles("sin", []v1alpha1.Work{w}); n.Failed != 1 || n.Ready != 0 {
		t.Errorf("counted as %+v", n)
	}
}
