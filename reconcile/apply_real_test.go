package reconcile_test

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

const (
	namespaceYAML = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
`
	settingsYAML = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS}
data: {color: blue}
`
	widgetDefinitionYAML = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.example}
spec:
  group: test.example
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
	widgetYAML = `
apiVersion: test.example/v1
kind: Widget
metadata: {name: left, namespace: NS}
spec: {size: 3}
`
	sep = "\n---\n"
)

func TestABundleIsApplied(t *testing.T) {
	k := connect(t)
	m := start(t, k)

	t.Run("a definition, its resource and a namespace that come in one bundle, in any order", func(t *testing.T) {
		g := bundle(t, widgetYAML+sep+settingsYAML+sep+widgetDefinitionYAML+sep+namespaceYAML)
		m.grant(g)
		status := m.awaitReady(t, g)
		if status.Objects != 4 || status.ReadyObjects != 4 || len(status.Problems) != 0 {
			t.Errorf("status: %+v", status)
		}
		w := k.must(k.get("Widget", g.Bundle, "left"))
		if w.GetLabels()[reconcile.LabelBundle] != g.Bundle || w.GetLabels()["applyset.kubernetes.io/part-of"] == "" {
			t.Errorf("labels: %v", w.GetLabels())
		}
		m.grant(withdraw(g))
		eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
		if k.exists("CustomResourceDefinition", "", "widgets.test.example") || k.exists("Namespace", "", g.Bundle) {
			t.Error("something was left")
		}
		if n := k.inventory(g.Bundle); n != 0 {
			t.Errorf("%d parts of the inventory were left", n)
		}
	})

	t.Run("an object that the cluster refuses is reported, and the others go on", func(t *testing.T) {
		const wrong = `
apiVersion: v1
kind: Service
metadata: {name: wrong, namespace: NS}
spec: {ports: [{port: 99999}]}
`
		g := bundle(t, wrong+sep+namespaceYAML+sep+settingsYAML)
		m.grant(g)
		p := m.awaitProblem(t, g.Bundle, reconcile.ReasonRefused, "wrong")
		if !strings.Contains(p.Message, "99999") || p.Kind != "Service" || p.Namespace != g.Bundle {
			t.Errorf("problem: %+v", p)
		}
		status := m.await(t, g.Bundle, "applied and failed", func(s v1alpha1.WorkStatus) bool {
			return s.Applied == g.Revision && s.Health == v1alpha1.HealthFailed && s.ReadyObjects == 2
		})
		if c := status.Conditions; len(c) != 1 || c[0].Type != v1alpha1.ConditionReady || c[0].Status != metav1.ConditionFalse {
			t.Errorf("conditions: %+v", c)
		}
		if !k.exists("ConfigMap", g.Bundle, "settings") {
			t.Error("the other object was not applied")
		}
		right := next(t, g, namespaceYAML+sep+settingsYAML)
		m.grant(right)
		m.awaitReady(t, right)
	})

	t.Run("a field that cannot be changed is named, and the object is made anew once somebody deletes it", func(t *testing.T) {
		const fixed = settingsYAML + "immutable: true\n"
		g := bundle(t, namespaceYAML+sep+fixed)
		m.grant(g)
		m.awaitReady(t, g)
		changed := next(t, g, namespaceYAML+sep+strings.ReplaceAll(fixed, "blue", "green"))
		m.grant(changed)
		if p := m.awaitProblem(t, g.Bundle, reconcile.ReasonRefused, "settings"); !strings.Contains(p.Message, "data: ") || !strings.Contains(p.Message, "delete the object") {
			t.Errorf("message: %s", p.Message)
		}
		k.remove("ConfigMap", g.Bundle, "settings")
		m.awaitReady(t, changed)
		if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); u.Object["data"].(map[string]any)["color"] != "green" {
			t.Errorf("data: %v", u.Object["data"])
		}
	})

	t.Run("what a Secret holds is not told in a problem", func(t *testing.T) {
		const wrong = `
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: NS}
type: kubernetes.io/tls
stringData: {password: hunter2, "not a key hunter2": hunter2}
`
		g := bundle(t, wrong+sep+namespaceYAML)
		m.grant(g)
		p := m.awaitProblem(t, g.Bundle, reconcile.ReasonRefused, "key")
		if strings.Contains(p.Message, ": hunter2") || strings.Contains(p.Message, `"hunter2"`) {
			t.Errorf("message: %s", p.Message)
		}
	})

	t.Run("a kind that nobody serves is reported, and applied once it is served", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+widgetYAML)
		m.grant(g)
		m.awaitProblem(t, g.Bundle, reconcile.ReasonUnknownKind, "left")
		k.create(widgetDefinitionYAML)
		m.awaitReady(t, g)
		k.remove("CustomResourceDefinition", "", "widgets.test.example")
		m.awaitProblem(t, g.Bundle, reconcile.ReasonUnknownKind, "left")
		m.grant(withdraw(g))
		eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
	})

	t.Run("manifests that are no objects do no harm", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		for _, hostile := range []string{
			`{}`, `{kind: ConfigMap}`, `{apiVersion: v1, kind: ConfigMap, metadata: oops}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: 7}}`, `{apiVersion: a/b/c, kind: X, metadata: {name: x}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: labels, labels: [1, 2]}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: "../../nodes", namespace: NS}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: "a/b", namespace: "x/../y"}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: NS}, data: {color: twin}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: inventories.3, namespace: hanse-system}}`,
			`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: hanse-agent, namespace: hanse-system}}`,
		} {
			g.Objects = append(g.Objects, object(t, strings.ReplaceAll(hostile, "NS", g.Bundle)))
		}
		m.grant(g)
		status := m.await(t, g.Bundle, "applied", func(s v1alpha1.WorkStatus) bool { return s.Applied == g.Revision })
		if status.ReadyObjects != 2 || len(status.Problems) != 11 {
			t.Errorf("status: %+v", status)
		}
		if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); u.Object["data"].(map[string]any)["color"] != "blue" {
			t.Error("the second object of a name was applied over the first")
		}
	})

	t.Run("no grant means that nothing is touched", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		other := bundle(t, namespaceYAML)
		m.grant(g)
		m.awaitReady(t, g)
		m.grant(other)
		m.awaitReady(t, other)
		if !k.exists("ConfigMap", g.Bundle, "settings") || k.inventory(g.Bundle) == 0 {
			t.Error("a bundle without a grant was touched")
		}
		k.remove("ConfigMap", g.Bundle, "settings")
		if err := k.of("ConfigMap", other.Bundle).DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		third := bundle(t, namespaceYAML)
		m.grant(other, third)
		m.awaitReady(t, third)
		if k.exists("ConfigMap", g.Bundle, "settings") {
			t.Error("a bundle without a grant was repaired")
		}
	})
}

func TestObjectsOfOthers(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	prepare := func(t *testing.T) reconcile.Grant {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		k.create(strings.ReplaceAll(namespaceYAML, "NS", g.Bundle))
		k.create(strings.ReplaceAll(`
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS}
data: {color: red, owner: somebody}
`, "NS", g.Bundle))
		return g
	}

	t.Run("are left alone, and reported", func(t *testing.T) {
		g := prepare(t)
		m.grant(g)
		p := m.awaitProblem(t, g.Bundle, reconcile.ReasonConflict, "settings")
		if !strings.Contains(p.Message, "somebody") || !strings.Contains(p.Message, "Always") {
			t.Errorf("message: %s", p.Message)
		}
		u := k.must(k.get("ConfigMap", g.Bundle, "settings"))
		if u.Object["data"].(map[string]any)["color"] != "red" || len(u.GetLabels()) != 0 {
			t.Errorf("touched: %v", u)
		}
		m.grant(withdraw(g))
		eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
		if !k.exists("ConfigMap", g.Bundle, "settings") {
			t.Error("an object of somebody else was deleted")
		}
	})

	t.Run("are taken over when the bundle says so", func(t *testing.T) {
		g := prepare(t)
		g.Adopt = v1alpha1.AdoptAlways
		m.grant(g)
		m.awaitReady(t, g)
		data := k.must(k.get("ConfigMap", g.Bundle, "settings")).Object["data"].(map[string]any)
		if data["color"] != "blue" || data["owner"] != "somebody" {
			t.Errorf("data: %v", data)
		}
	})

	t.Run("are taken over when the bundle takes what is equal, once they are", func(t *testing.T) {
		g := prepare(t)
		g.Adopt = v1alpha1.AdoptIfEqual
		m.grant(g)
		p := m.awaitProblem(t, g.Bundle, reconcile.ReasonConflict, "settings")
		if !strings.Contains(p.Message, "in data.color;") || !strings.Contains(p.Message, `"somebody"`) {
			t.Errorf("message: %s", p.Message)
		}
		if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); u.GetLabels()[reconcile.LabelBundle] != "" {
			t.Errorf("it was taken over though it differs: %v", u.Object)
		}
		k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) {
			u.Object["data"] = map[string]any{"color": "blue", "owner": "somebody"}
		})
		m.awaitReady(t, g)
		u := k.must(k.get("ConfigMap", g.Bundle, "settings"))
		if u.GetLabels()[reconcile.LabelBundle] != g.Bundle {
			t.Errorf("it was not taken over: %v", u.GetLabels())
		}
	})

	t.Run("are applied once they are out of the way", func(t *testing.T) {
		g := prepare(t)
		m.grant(g)
		m.awaitProblem(t, g.Bundle, reconcile.ReasonConflict, "settings")
		k.remove("ConfigMap", g.Bundle, "settings")
		k.remove("Namespace", "", g.Bundle)
		m.awaitReady(t, g)
	})

	t.Run("of another bundle are a conflict, and moving one by adopt does not make the two fight", func(t *testing.T) {
		a := bundle(t, namespaceYAML+sep+settingsYAML)
		b := bundle(t, "")
		b.Objects = a.Objects[1:]
		m.grant(a)
		m.awaitReady(t, a)
		m.grant(a, b)
		if p := m.awaitProblem(t, b.Bundle, reconcile.ReasonConflict, "settings"); !strings.Contains(p.Message, a.Bundle) {
			t.Errorf("message: %s", p.Message)
		}
		b.Adopt = v1alpha1.AdoptAlways
		a.Adopt = v1alpha1.AdoptAlways
		m.grant(a, b)
		m.awaitReady(t, b)
		m.awaitProblem(t, a.Bundle, reconcile.ReasonConflict, "settings")
		before := k.must(k.get("ConfigMap", a.Bundle, "settings")).GetResourceVersion()
		without := next(t, a, namespaceYAML)
		m.grant(without, b)
		m.awaitReady(t, without)
		after := k.must(k.get("ConfigMap", a.Bundle, "settings"))
		if after.GetResourceVersion() != before || after.GetLabels()[reconcile.LabelBundle] != b.Bundle {
			t.Errorf("it was fought over, or pruned by the bundle that lost it: %v", after.GetLabels())
		}
	})
}
