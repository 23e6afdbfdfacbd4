package reconcile

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// order is one to put ConfigMaps right.
func order(number int64, names ...string) v1alpha1.Correction {
	c := v1alpha1.Correction{Number: number}
	for _, name := range names {
		ref := v1alpha1.ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: name}
		c.In = append(c.In, v1alpha1.CorrectionIn{Clusters: []string{"fra"}, Objects: []v1alpha1.ObjectRef{ref}})
	}
	return c
}

// reporting is a bundle of ConfigMaps that says what differs, and whose grant has an order. All were applied.
func reporting(o v1alpha1.Correction, names ...string) *bundle {
	b := &bundle{
		s:    &session{board: newBoard(func([]Report) {}, 0), timing: Timing{}.completed(), slots: make(chan struct{}, workers)},
		mail: newMailbox(), logger: slog.New(slog.DiscardHandler),
	}
	g := Grant{Bundle: "shop", Revision: "shop-1", Drift: v1alpha1.DriftReport, Correct: o}
	for _, name := range names {
		u := unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"},
		}}
		g.Objects = append(g.Objects, u)
	}
	b.take(g)
	for _, o := range b.objects {
		o.place(mapping{resource: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, namespaced: true})
		o.todo, o.applied = nothing, &applied{}
	}
	return b
}

// another has the grant come with another order.
func (b *bundle) another(o v1alpha1.Correction) {
	g := b.grant
	g.Correct = o
	b.take(g)
}

// righted are the names of the objects that are applied though they are only to be compared.
func (b *bundle) righted() string {
	var names []string
	for _, o := range b.objects {
		if !b.checks(o) {
			names = append(names, o.key.name)
		}
	}
	return strings.Join(names, " ")
}

func TestAnOrderThatComesWhileAGrantRollsInIsCarriedOut(t *testing.T) {
	b := reporting(order(5), "x", "y")
	b.another(order(7, "x"))
	b.rolledIn()
	if b.inv.corrected != 5 {
		t.Errorf("order %d counts as carried out by rolling in, want the one that the grant began with", b.inv.corrected)
	}
	b.takeCorrection()
	if got := b.righted(); got != "x" || b.objects[0].todo != restore {
		t.Errorf("put right: %q", got)
	}
	b.endCorrection()
	if b.inv.corrected != 5 {
		t.Error("it counts as carried out before it is")
	}
	b.objects[0].correct = false
	if b.endCorrection(); b.inv.corrected != 7 {
		t.Errorf("order %d is noted", b.inv.corrected)
	}
}

func TestAnOrderThatTheGrantBeganWithIsNotCarriedOutAgain(t *testing.T) {
	b := reporting(order(5), "x")
	b.rolledIn()
	if b.takeCorrection(); b.righted() != "" {
		t.Error("rolling in has done it")
	}
}

func TestOnlyTheOrderThatHoldsPutsRight(t *testing.T) {
	ended := order(7, "x")
	ended.Until = metav1.NewTime(time.Unix(1, 0))
	for name, c := range map[string]struct {
		then v1alpha1.Correction
		want string
	}{
		"the same":                {order(7, "x"), "x"},
		"it ends":                 {ended, ""},
		"it is taken back":        {v1alpha1.Correction{}, ""},
		"another takes its place": {order(8, "y"), "y"},
		"another with it":         {order(8, "x", "y"), "x y"},
		"one before comes back":   {order(6, "x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := reporting(v1alpha1.Correction{}, "x", "y")
			b.rolledIn()
			b.another(order(7, "x"))
			b.takeCorrection() // and x cannot be applied yet
			b.another(c.then)
			b.takeCorrection()
			if got := b.righted(); got != c.want {
				t.Errorf("put right: %q, want %q", got, c.want)
			}
		})
	}
}
