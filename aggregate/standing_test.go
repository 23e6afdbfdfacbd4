package aggregate

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestARoundSaysHowTheFleetsAPIStands(t *testing.T) {
	service, role := registration(backend{}, "acme/fra", nil), roles("acme/fra")[0]
	available := func(status, message string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": []any{
			map[string]any{"type": "Other", "status": "True"},
			map[string]any{"type": "Available", "status": status, "message": message},
		}}}}
	}
	for name, c := range map[string]struct {
		registered    *unstructured.Unstructured
		outlives, err error
		status        metav1.ConditionStatus
		reason        string
	}{
		"passed on":                     {available("True", ""), nil, nil, metav1.ConditionTrue, ReasonRegistered},
		"passed on for good":            {available("True", ""), errors.New("no jobs"), nil, metav1.ConditionTrue, ReasonOutlivesMember},
		"not reached by kube-apiserver": {available("False", "no route"), nil, nil, metav1.ConditionFalse, ReasonNotAvailable},
		"registered a moment ago":       {&unstructured.Unstructured{Object: map[string]any{}}, nil, nil, "", ""},
		"let go":                        {nil, nil, errLetGo, metav1.ConditionFalse, ReasonLetGo},
		"another's APIService":          {nil, nil, &objectError{service, foreign(&unstructured.Unstructured{}, "acme/fra")}, metav1.ConditionFalse, ReasonForeignAPIService},
		"another's ClusterRole":         {nil, nil, &objectError{role, foreign(&unstructured.Unstructured{}, "acme/fra")}, metav1.ConditionFalse, ReasonForeignObject},
		"not valid":                     {nil, nil, &objectError{role, apierrors.NewInvalid(schema.GroupKind{Kind: "ClusterRole"}, "hanse:viewer", nil)}, metav1.ConditionFalse, ReasonRefused},
		"not allowed":                   {nil, nil, &objectError{role, apierrors.NewForbidden(clusterRoles.GroupResource(), "hanse:viewer", errors.New("no"))}, metav1.ConditionFalse, ReasonForbidden},
		"a cluster that is away":        {nil, nil, &objectError{role, errors.New("connection refused")}, metav1.ConditionUnknown, ReasonNotReached},
	} {
		if got := standingOf(c.registered, c.outlives, c.err); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
