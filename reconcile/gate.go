package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// How often the objects of gates are read, while a rollout has to pass them, and for how long each is waited for.
const (
	gatesEvery  = 2 * time.Second
	gateTimeout = 5 * time.Second
)

// maxGateMessage bounds what is told of one gate: a bundle has several.
const maxGateMessage = 256

// lookAtGates reads the objects that gates name, if it is time to. They may be of any kind and anybody's, so they are not watched.
func (b *bundle) lookAtGates(ctx context.Context) {
	if len(b.grant.Gates) == 0 || time.Now().Before(b.gatesDue) {
		return
	}
	said := make([]v1alpha1.WorkGate, len(b.grant.Gates))
	each(ctx, b.s, b.grant.Gates, func(i int, g v1alpha1.RolloutGate) {
		passes, message := b.s.lookAtGate(ctx, g)
		said[i] = v1alpha1.WorkGate{Name: g.Name, Passes: passes, Message: clip(message, maxGateMessage)}
	})
	if ctx.Err() == nil {
		b.gates, b.gatesDue = said, time.Now().Add(gatesEvery)
	}
}

// lookAtGate says whether the object of a gate has its condition, and what it says, or why it says nothing.
func (s *session) lookAtGate(ctx context.Context, g v1alpha1.RolloutGate) (passes bool, message string) {
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	gvk := schema.FromAPIVersionAndKind(g.Object.APIVersion, g.Object.Kind)
	at, err := s.kinds.exactly(ctx, gvk)
	if errors.Is(err, errUnknownKind) {
		return false, fmt.Sprintf("the cluster does not serve %s %s", g.Object.APIVersion, g.Object.Kind)
	} else if err != nil {
		return false, "it cannot be read: " + err.Error()
	}
	namespace := g.Object.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	u, err := s.resource(at, namespace).Get(ctx, g.Object.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, "it is not there"
	case err != nil:
		return false, "it cannot be read: " + err.Error()
	}
	return hasCondition(u, *g.Condition)
}

// hasCondition says whether an object has a condition by now. What it said before its newest change does not count.
func hasCondition(u *unstructured.Unstructured, want v1alpha1.GateCondition) (has bool, message string) {
	seen, known, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	switch {
	case u.GetDeletionTimestamp() != nil:
		return false, "it is being deleted"
	case known && seen < u.GetGeneration():
		return false, fmt.Sprintf("its controller has not seen its newest change: generation %d, seen %d", u.GetGeneration(), seen)
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		said, _ := c.(map[string]any)
		if said["type"] != want.Type {
			continue
		}
		message = fmt.Sprintf("condition %s is %v", want.Type, said["status"])
		if of, known := said["observedGeneration"].(int64); known && of < u.GetGeneration() {
			return false, message + ", of before its newest change"
		}
		if said["status"] == string(want.Wanted()) {
			return true, message
		}
		message += fmt.Sprintf(", must be %s", want.Wanted())
		for _, why := range []string{"reason", "message"} {
			if text, _ := said[why].(string); text != "" {
				message += ": " + text
			}
		}
		return false, message
	}
	return false, fmt.Sprintf("condition %s is not there, must be %s", want.Type, want.Wanted())
}
