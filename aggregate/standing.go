package aggregate

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Standing says whether the fleet's API is in the member's cluster, as a condition does. The zero value: not known yet.
type Standing struct {
	Status          metav1.ConditionStatus
	Reason, Message string
}

// Reasons of a Standing.
const (
	ReasonRegistered        = "Registered"        // and kube-apiserver reaches the member
	ReasonOutlivesMember    = "OutlivesMember"    // so it is, and it would stay for good when the member is dead
	ReasonNotAvailable      = "NotAvailable"      // registered, and kube-apiserver does not reach the member
	ReasonLetGo             = "LetGo"             // that lasted, so it is taken out, and tried again now and then
	ReasonForeignAPIService = "ForeignAPIService" // somebody else's has our name
	ReasonForeignObject     = "ForeignObject"     // so has something that ours needs
	ReasonForbidden         = "Forbidden"         // the member may not register it
	ReasonRefused           = "Refused"           // it may, and the cluster takes something of it for invalid
	ReasonNotReached        = "NotReached"        // the cluster does not answer, or not as it should
)

// Standing is how the last round ended.
func (a *Aggregation) Standing() Standing {
	if s := a.standing.Load(); s != nil {
		return *s
	}
	return Standing{}
}

// objectError is why one object is not as it should be.
type objectError struct {
	object object
	err    error
}

func (e *objectError) Error() string { return e.object.String() + ": " + e.err.Error() }
func (e *objectError) Unwrap() error { return e.err }

// standingOf is what a round comes to that ended with an error, or with this APIService, and with what keeps it from going
// when the member is dead.
func standingOf(registered *unstructured.Unstructured, outlives, err error) Standing {
	var at *objectError
	switch {
	case err == nil:
		return availability(registered).mind(outlives)
	case errors.Is(err, errLetGo):
		return Standing{metav1.ConditionFalse, ReasonLetGo, err.Error()}
	case errors.Is(err, ErrForeign) && errors.As(err, &at) && at.object.resource == apiServices:
		return Standing{metav1.ConditionFalse, ReasonForeignAPIService, err.Error()}
	case errors.Is(err, ErrForeign):
		return Standing{metav1.ConditionFalse, ReasonForeignObject, err.Error()}
	case apierrors.IsForbidden(err):
		return Standing{metav1.ConditionFalse, ReasonForbidden, err.Error()}
	case apierrors.IsInvalid(err):
		return Standing{metav1.ConditionFalse, ReasonRefused, err.Error()}
	}
	return Standing{metav1.ConditionUnknown, ReasonNotReached, err.Error()}
}

// mind adds to a standing that is well what is to be minded.
func (s Standing) mind(outlives error) Standing {
	if outlives != nil && s.Status == metav1.ConditionTrue {
		s.Reason = ReasonOutlivesMember
		s.Message += "; when the member is dead it stays, and holds up the deletion of namespaces: " + outlives.Error()
	}
	return s
}

// availability is what kube-apiserver says of the way to the member. It says nothing of a registration that it has just got.
func availability(registered *unstructured.Unstructured) Standing {
	conditions, _, _ := unstructured.NestedSlice(registered.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] != "Available" {
			continue
		}
		if condition["status"] == "True" {
			return Standing{metav1.ConditionTrue, ReasonRegistered, "kube-apiserver passes the group on to the member"}
		}
		message, _ := condition["message"].(string)
		return Standing{metav1.ConditionFalse, ReasonNotAvailable, "kube-apiserver does not reach the member: " + message}
	}
	return Standing{}
}
