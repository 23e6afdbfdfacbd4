package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestTheObjectOfAGateIsLookedAtInTheCluster(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	g := bundle(t, `{apiVersion: v1, kind: Namespace, metadata: {name: NS}}`)
	k.create(`{apiVersion: v1, kind: Namespace, metadata: {name: others-` + g.Bundle + `}}`)
	gate := v1alpha1.RolloutGate{
		Name: "up", Object: &v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "others-" + g.Bundle, Name: "db"},
		Condition: &v1alpha1.GateCondition{Type: "Available"},
	}
	unknown := v1alpha1.RolloutGate{Name: "never", Object: &v1alpha1.ObjectRef{APIVersion: "x.io/v1", Kind: "Thing", Name: "db"}, Condition: &v1alpha1.GateCondition{Type: "Available"}}
	g.At = 7
	m.grant(g)
	m.awaitReady(t, g)
	g.Gates = []v1alpha1.RolloutGate{gate, unknown}
	m.grant(g) // the wave that it is in has to pass them from now on
	said := func(passes bool, message string) {
		t.Helper()
		want := []v1alpha1.WorkGate{{Name: "up", Passes: passes, Message: message}, {Name: "never", Message: "the cluster does not serve x.io/v1 Thing"}}
		m.await(t, g.Bundle, "saying of its gates: "+message, func(s v1alpha1.WorkStatus) bool { return s.Grant == 7 && cmp.Equal(s.Gates, want) })
	}
	said(false, "it is not there")
	k.create(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: db, namespace: others-` + g.Bundle + `}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}}`)
	said(false, "condition Available is False, must be True: MinimumReplicasUnavailable: Deployment does not have minimum availability.")
	k.edit("Deployment", "others-"+g.Bundle, "db", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(0), "spec", "replicas")
	})
	said(true, "condition Available is True")
	k.remove("Deployment", "others-"+g.Bundle, "db")
	said(false, "it is not there")
	g.Gates = nil
	m.grant(g)
	m.await(t, g.Bundle, "without gates", func(s v1alpha1.WorkStatus) bool { return len(s.Gates) == 0 && s.Applied == g.Revision })
}
