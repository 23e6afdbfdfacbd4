package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestWhatIsNowhereIsUnplacedBeforeWhatLacksMore(t *testing.T) {
	bundle := func(name string, placed metav1.ConditionStatus, clusters int32, wanted *int32) *v1alpha1.Bundle {
		b := &v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: name}}
		b.Spec.Placement.NumberOfClusters, b.Status.Clusters = wanted, clusters
		b.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}}
		if placed != "" {
			b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionPlaced, Status: placed, Message: name + " lacks something"})
		}
		return b
	}
	got := unplaced([]*v1alpha1.Bundle{
		bundle("uneven", metav1.ConditionFalse, 4, nil), bundle("asks-nothing", "", 0, nil), bundle("satisfied", metav1.ConditionTrue, 2, new(int32(2))),
		bundle("lacks-one", metav1.ConditionFalse, 2, new(int32(3))), bundle("lacks-nine", metav1.ConditionFalse, 1, new(int32(10))),
		bundle("nowhere", metav1.ConditionFalse, 0, new(int32(1))), bundle("even-lacks-one", metav1.ConditionFalse, 1, new(int32(2))),
	})
	want := []v1alpha1.UnplacedFleetStatus{
		{Name: "nowhere", Wanted: 1, Message: "nowhere lacks something"},
		{Name: "lacks-nine", Clusters: 1, Wanted: 10, Message: "lacks-nine lacks something"},
		{Name: "even-lacks-one", Clusters: 1, Wanted: 2, Message: "even-lacks-one lacks something"},
		{Name: "lacks-one", Clusters: 2, Wanted: 3, Message: "lacks-one lacks something"},
		{Name: "uneven", Clusters: 4, Message: "uneven lacks something"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
