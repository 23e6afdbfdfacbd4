package aggregate

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
		registered *unstructured.Unstructured
		err        error
		status     metav1.ConditionStatus
		reason     string
	}{
		"passed on":                     {available("True", ""), nil, metav1.ConditionTrue, ReasonRegistered},
		"not reached by kube-apiserver": {available("False", "no route"), nil, metav1.ConditionFalse, ReasonNotAvailable},
		"registered a moment ago":       {&unstructured.Unstructured{Object: map[string]any{}}, nil, "", ""},
		"another's APIService":          {nil, &objectError{service, foreign(&unstructured.Unstructured{}, "acme/fra")}, metav1.ConditionFalse, ReasonForeignAPIService},
		"another's ClusterRole":         {nil, &objectError{role, foreign(&unstructured.Unstructured{}, "acme/fra")}, metav1.ConditionFalse, ReasonForeignObject},
		"not allowed":                   {nil, &objectError{role, apierrors.NewForbidden(clusterRoles.GroupResource(), "hanse:viewer", errors.New("no"))}, metav1.ConditionFalse, ReasonForbidden},
		"a cluster that is away":        {nil, &objectError{role, errors.New("connection refused")}, metav1.ConditionUnknown, ReasonNotReached},
	} {
		if got := standingOf(c.registered, c.err); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
