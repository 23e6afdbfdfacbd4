package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

// A thousand times somebody edits a Deployment or deletes a ConfigMap of a bundle; each time it is put right, and counted.
func TestAThousandTimesSomebodyInterferes(t *testing.T) {
	const times, each = 1000, 64 // each object less often than its repairs are slowed on purpose
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML)
	for i := range each {
		g.Objects = append(g.Objects,
			object(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, namespace: %s}, data: {color: blue}}`, i, g.Bundle)),
			object(t, fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: d%d, namespace: %s}, spec: {replicas: 0,
				selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {containers: [{name: web, image: good}]}}}}`, i, g.Bundle)))
	}
	m.grant(g)
	m.awaitReady(t, g)
	deleted, edited := k.events(t, "ConfigMap", g.Bundle), k.events(t, "Deployment", g.Bundle)
	var took [2][]time.Duration
	for i := range times {
		name, begun := fmt.Sprint(i/2%each), time.Now()
		if i%2 == 0 {
			k.remove("ConfigMap", g.Bundle, "c"+name)
			awaitEvent(t, deleted, func(e watch.EventType, u *unstructured.Unstructured) bool {
				return e == watch.Added && u.GetName() == "c"+name
			})
		} else {
			k.edit("Deployment", g.Bundle, "d"+name, func(u *unstructured.Unstructured) { containerOf(u)["image"] = "bad" })
			bad := false
			awaitEvent(t, edited, func(_ watch.EventType, u *unstructured.Unstructured) bool {
				mine := u.GetName() == "d"+name
				bad = bad || mine && containerOf(u)["image"] == "bad"
				return mine && bad && containerOf(u)["image"] == "good"
			})
		}
		took[i%2] = append(took[i%2], time.Since(begun))
	}
	m.await(t, g.Bundle, "each is counted", func(s v1alpha1.WorkStatus) bool { return s.DriftCorrected == times })
	for i, what := range []string{"deleted ConfigMaps", "edited Deployments"} {
		slices.Sort(took[i])
		n := len(took[i])
		t.Logf("%d %s put right: p50 %v, p99 %v, slowest %v", n, what, took[i][n/2].Round(100*time.Microsecond), took[i][n*99/100].Round(100*time.Microsecond), took[i][n-1].Round(100*time.Microsecond))
	}
}

// containerOf is the one container of a Deployment.
func containerOf(u *unstructured.Unstructured) map[string]any {
	spec := u.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	return spec["containers"].([]any)[0].(map[string]any)
}

// events are those of a bundle's objects of a kind, from now on.
func (k *kube) events(t *testing.T, kind, bundle string) <-chan watch.Event {
	t.Helper()
	list, err := k.of(kind, bundle).List(t.Context(), metav1.ListOptions{LabelSelector: reconcile.LabelBundle})
	if err != nil {
		t.Fatal(err)
	}
	w, err := k.of(kind, bundle).Watch(t.Context(), metav1.ListOptions{LabelSelector: reconcile.LabelBundle, ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w.ResultChan()
}

func awaitEvent(t *testing.T, events <-chan watch.Event, is func(watch.EventType, *unstructured.Unstructured) bool) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case e, open := <-events:
			u, ok := e.Object.(*unstructured.Unstructured)
			if !open || !ok {
				t.Fatalf("the watch ended: %v", e.Object)
			}
			if is(e.Type, u) {
				return
			}
		case <-late:
			t.Fatalf("not put right within %v", patience)
		}
	}
}
