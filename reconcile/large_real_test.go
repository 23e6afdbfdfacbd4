package reconcile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/reconcile"
)

// large is a bundle of the shape of a big public install: some definitions of almost a megabyte, resources of
// their kinds, and hundreds of small objects.
func large(t testing.TB, definitions, small int) reconcile.Grant {
	t.Helper()
	g := bundle(t, namespaceYAML)
	add := func(manifest string) {
		g.Objects = append(g.Objects, object(t, strings.ReplaceAll(manifest, "NS", g.Bundle)))
	}
	for i := range small {
		add(fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, namespace: NS}, data: {n: "%d"}}`, i, i))
	}
	for i := range definitions {
		kind := fmt.Sprintf("Big%d%s", i, g.Bundle)
		plural := strings.ToLower(kind) + "s"
		properties := map[string]any{}
		for j := range 300 {
			properties[fmt.Sprintf("field%d", j)] = map[string]any{"type": "string", "description": strings.Repeat("what it is for ", 200)}
		}
		g.Objects = append(g.Objects, unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{"name": plural + ".test.example"},
			"spec": map[string]any{
				"group": "test.example", "scope": "Namespaced",
				"names": map[string]any{"kind": kind, "plural": plural, "singular": strings.ToLower(kind), "listKind": kind + "List"},
				"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
					"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{"spec": map[string]any{"type": "object", "properties": properties}}},
				}}},
			},
		}})
		add(fmt.Sprintf(`{apiVersion: test.example/v1, kind: %s, metadata: {name: one, namespace: NS}, spec: {field7: x}}`, kind))
	}
	return g
}

func TestALargeBundle(t *testing.T) {
	k := connect(t)
	patient := func(c *reconcile.Config) { c.Timing = reconcile.Timing{Coalesce: 10 * time.Millisecond} }
	m := start(t, k, patient)
	g := large(t, 9, 400)
	size := 0
	for _, o := range g.Objects {
		data, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		size += len(data)
	}
	began := time.Now()
	m.grant(g)
	s := m.awaitReady(t, g)
	t.Logf("%d objects, %d KiB: ready after %v", s.Objects, size>>10, time.Since(began).Round(time.Millisecond))

	m.stop()
	m = start(t, k, patient)
	began = time.Now()
	m.grant(g)
	s = m.awaitReady(t, g)
	t.Logf("ready after a restart: %v", time.Since(began).Round(time.Millisecond))
	if s.DriftCorrected != 0 {
		t.Errorf("%d objects were taken for drifted", s.DriftCorrected)
	}

	began = time.Now()
	if err := k.of("ConfigMap", g.Bundle).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: reconcile.LabelBundle}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is put back", func() bool { return m.last(g.Bundle).DriftCorrected == 400 })
	m.awaitReady(t, g)
	t.Logf("400 deleted objects put back: %v", time.Since(began).Round(time.Millisecond))

	began = time.Now()
	m.grant(withdraw(g))
	eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
	t.Logf("withdrawn: %v", time.Since(began).Round(time.Millisecond))
	if k.exists("Namespace", "", g.Bundle) || k.inventory(g.Bundle) != 0 {
		t.Error("something was left")
	}
}

// BenchmarkDriftRepair measures from a change by somebody else to the object being right again.
func BenchmarkDriftRepair(b *testing.B) {
	k := connect(b)
	m := start(b, k)
	g := bundle(b, namespaceYAML)
	const objects = 200 // each is changed a few times only, or its repairs are slowed on purpose
	for i := range objects {
		g.Objects = append(g.Objects, object(b, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, namespace: %s}, data: {color: blue}}`, i, g.Bundle)))
	}
	m.grant(g)
	m.awaitReady(b, g)
	w, err := k.of("ConfigMap", g.Bundle).Watch(b.Context(), metav1.ListOptions{LabelSelector: reconcile.LabelBundle})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Stop()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("c%d", i%objects)
		began := time.Now()
		k.edit("ConfigMap", g.Bundle, name, setColor("red"))
		for e := range w.ResultChan() {
			u, ok := e.Object.(*unstructured.Unstructured)
			if ok && u.GetName() == name && e.Type == "MODIFIED" && u.Object["data"].(map[string]any)["color"] == "blue" {
				break
			}
		}
		took = append(took, time.Since(began))
	}
	reportPercentiles(b, took)
}

func reportPercentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
