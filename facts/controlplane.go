package facts

import (
	"context"
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Reasons of the condition of a control plane.
const (
	ReasonReady     = "Ready"     // its kube-apiserver says so
	ReasonNotReady  = "NotReady"  // its kube-apiserver says so
	ReasonNoAnswer  = "NoAnswer"  // the member hears nothing of it
	ReasonRefused   = "Refused"   // it answers, and not to the member
	ReasonNoCluster = "NoCluster" // the member has none
)

// missesNeeded is how many answers in a row must fail: one fails whenever a kube-apiserver starts anew.
const missesNeeded = 2

// ControlPlane is what the answers of a cluster's kube-apiserver come to. The zero value has heard none.
type ControlPlane struct {
	missed int
	said   *Condition
}

// Ask asks whether it is ready, and returns what is known of it then; nil: nothing yet. The condition is never changed again.
func (p *ControlPlane) Ask(ctx context.Context, kube rest.Interface) *Condition {
	err := kube.Get().AbsPath("/readyz").Do(ctx).Error()
	if ctx.Err() == nil {
		p.hear(err, time.Now())
	}
	return p.said
}

// hear takes an answer.
func (p *ControlPlane) hear(err error, now time.Time) {
	next := answerOf(err)
	next.At = now
	if next.Status != metav1.ConditionFalse {
		p.missed, p.said = 0, &next
		return
	}
	if p.missed++; p.missed >= missesNeeded {
		p.said = &next
	}
}

// answerOf is what one answer says. Its texts are always the same, so that they are told once.
func answerOf(err error) Condition {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return Condition{Status: metav1.ConditionTrue, Reason: ReasonReady, Message: "kube-apiserver is ready"}
	case !errors.As(err, &status):
		return Condition{Status: metav1.ConditionFalse, Reason: ReasonNoAnswer, Message: "kube-apiserver does not answer the cluster's member"}
	case status.Status().Code >= http.StatusInternalServerError:
		return Condition{Status: metav1.ConditionFalse, Reason: ReasonNotReady, Message: "kube-apiserver is not ready; it says why: kubectl get --raw '/readyz?verbose'"}
	}
	return Condition{Status: metav1.ConditionUnknown, Reason: ReasonRefused, Message: "kube-apiserver answers, and does not let the cluster's member ask whether it is ready"}
}

// NoControlPlane is what a member says that has no cluster.
func NoControlPlane() *Condition {
	return NewCondition(time.Now(), metav1.ConditionUnknown, ReasonNoCluster, "the member runs without a kubeconfig of its cluster")
}
