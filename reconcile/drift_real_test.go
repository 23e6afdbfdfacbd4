package reconcile_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

const deploymentYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: NS}
spec:
  replicas: 0
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: shop}]}
`

func color(k *kube, namespace string) any {
	u, err := k.get("ConfigMap", namespace, "settings")
	if err != nil {
		return nil
	}
	return u.Object["data"].(map[string]any)["color"]
}

func setColor(to string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) { u.Object["data"].(map[string]any)["color"] = to }
}

func TestDrift(t *testing.T) {
	whole := t
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+settingsYAML+sep+deploymentYAML)
	m.grant(g)
	m.awaitReady(t, g)
	// corrected waits for one more correction, and returns what the report says was changed last.
	corrected := func(t *testing.T, change func()) v1alpha1.Drift {
		t.Helper()
		before := m.last(g.Bundle).DriftCorrected
		change()
		s := m.await(t, g.Bundle, "corrected", func(s v1alpha1.WorkStatus) bool { return s.DriftCorrected == before+1 })
		m.awaitReady(t, g)
		return *s.LastDrift
	}

	t.Run("a changed object is put right", func(t *testing.T) {
		d := corrected(t, func() { k.edit("ConfigMap", g.Bundle, "settings", setColor("red")) })
		if color(k, g.Bundle) != "blue" || d.Name != "settings" || d.Kind != "ConfigMap" || d.Manager != "somebody" {
			t.Errorf("color %v, drift %+v", color(k, g.Bundle), d)
		}
	})
	t.Run("a deleted object is put back", func(t *testing.T) {
		d := corrected(t, func() { k.remove("ConfigMap", g.Bundle, "settings") })
		if color(k, g.Bundle) != "blue" || d.Manager != "" {
			t.Errorf("color %v, drift %+v", color(k, g.Bundle), d)
		}
	})
	t.Run("a removed label is put back", func(t *testing.T) {
		corrected(t, func() {
			k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) { u.SetLabels(nil) })
		})
		if l := k.must(k.get("ConfigMap", g.Bundle, "settings")).GetLabels(); l[reconcile.LabelBundle] != g.Bundle {
			t.Errorf("labels: %v", l)
		}
	})
	t.Run("a label that names another bundle is put right", func(t *testing.T) {
		corrected(t, func() {
			k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) {
				u.SetLabels(map[string]string{reconcile.LabelBundle: "no-such-bundle"})
			})
		})
	})
	t.Run("a change by a subresource is put right", func(t *testing.T) {
		corrected(t, func() {
			body := []byte(`{"spec":{"replicas":2}}`)
			if _, err := k.of("Deployment", g.Bundle).Patch(context.Background(), "shop", types.MergePatchType, body, metav1.PatchOptions{}, "scale"); err != nil {
				t.Fatal(err)
			}
		})
		u := k.must(k.get("Deployment", g.Bundle, "shop"))
		if n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); n != 0 {
			t.Errorf("replicas: %d", n)
		}
	})
	t.Run("fields that the bundle does not set are everybody's", func(t *testing.T) {
		before := m.last(g.Bundle).DriftCorrected
		k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) {
			u.Object["data"].(map[string]any)["more"] = "theirs"
		})
		corrected(t, func() { k.edit("ConfigMap", g.Bundle, "settings", setColor("red")) })
		if n := m.last(g.Bundle).DriftCorrected; n != before+1 {
			t.Errorf("corrected %d times", n-before)
		}
		if d := k.must(k.get("ConfigMap", g.Bundle, "settings")).Object["data"].(map[string]any); d["more"] != "theirs" {
			t.Errorf("data: %v", d)
		}
	})
	t.Run("a whole namespace comes back", func(t *testing.T) {
		uid := k.must(k.get("Namespace", "", g.Bundle)).GetUID()
		k.remove("Namespace", "", g.Bundle)
		eventually(t, "all is back", func() bool {
			u, err := k.get("Namespace", "", g.Bundle)
			return err == nil && u.GetUID() != uid && color(k, g.Bundle) == "blue" && k.exists("Deployment", g.Bundle, "shop")
		})
		m.awaitReady(t, g)
	})
	t.Run("what changed while the member was away is put right on its return", func(t *testing.T) {
		m.stop()
		k.edit("ConfigMap", g.Bundle, "settings", setColor("red"))
		k.remove("Deployment", g.Bundle, "shop")
		m = start(whole, k)
		m.grant(g)
		s := m.await(t, g.Bundle, "corrected twice", func(s v1alpha1.WorkStatus) bool { return s.DriftCorrected == 2 })
		if color(k, g.Bundle) != "blue" || s.LastDrift == nil {
			t.Errorf("color %v, status %+v", color(k, g.Bundle), s)
		}
		m.awaitReady(t, g)
	})
	t.Run("a status that changes is no drift, and health follows it", func(t *testing.T) {
		with := next(t, g, namespaceYAML+sep+settingsYAML+sep+widgetDefinitionYAML+sep+widgetYAML)
		m.grant(with)
		m.awaitReady(t, with)
		before := m.last(g.Bundle).DriftCorrected
		say := func(status string) {
			t.Helper()
			eventually(t, "the status is written", func() bool {
				u := k.must(k.get("Widget", g.Bundle, "left"))
				u.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": status, "reason": "Test", "message": "says the test"}}}
				_, err := k.of("Widget", g.Bundle).UpdateStatus(context.Background(), u, metav1.UpdateOptions{})
				return err == nil
			})
		}
		say("False")
		m.await(t, g.Bundle, "in progress", func(s v1alpha1.WorkStatus) bool {
			return s.Health == v1alpha1.HealthInProgress && s.ReadyObjects == 3 && s.Objects == 4
		})
		say("True")
		m.awaitReady(t, with)
		if n := m.last(g.Bundle).DriftCorrected; n != before {
			t.Errorf("corrected %d times", n-before)
		}
		m.grant(withdraw(with))
		eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
	})
}

func TestDriftIsOnlyReportedByPolicy(t *testing.T) {
	whole := t
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+settingsYAML+sep+extraYAML)
	g.Drift = v1alpha1.DriftReport
	m.grant(g)
	m.awaitReady(t, g)
	m.isNews(t, g.Bundle, g.Revision)
	drifted := func(n int32) func(v1alpha1.WorkStatus) bool {
		return func(s v1alpha1.WorkStatus) bool { return s.Drifted == n }
	}

	t.Run("a change is counted and left", func(t *testing.T) {
		k.edit("ConfigMap", g.Bundle, "settings", setColor("red"))
		s := m.await(t, g.Bundle, "drifted", drifted(1))
		if color(k, g.Bundle) != "red" || s.DriftCorrected != 0 || s.LastDrift == nil || s.LastDrift.Manager != "somebody" {
			t.Errorf("color %v, status %+v", color(k, g.Bundle), s)
		}
	})
	t.Run("a deletion too", func(t *testing.T) {
		k.remove("ConfigMap", g.Bundle, "extra")
		m.await(t, g.Bundle, "drifted", drifted(2))
		if k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("it was put back")
		}
	})
	t.Run("after a restart they are still left", func(t *testing.T) {
		m.stop()
		m = start(whole, k)
		m.grant(g)
		m.await(t, g.Bundle, "drifted", drifted(2))
		m.isNews(t, g.Bundle, "")
		if color(k, g.Bundle) != "red" || k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("put right on start")
		}
	})
	t.Run("what a person orders to be put right is, once, and no other", func(t *testing.T) {
		g.Correct = v1alpha1.Correction{Number: 7, In: []v1alpha1.CorrectionIn{{Objects: []v1alpha1.ObjectRef{{APIVersion: "v1", Kind: "ConfigMap", Namespace: g.Bundle, Name: "settings"}}}}}
		m.grant(g)
		s := m.await(t, g.Bundle, "less drifted", drifted(1))
		if color(k, g.Bundle) != "blue" || k.exists("ConfigMap", g.Bundle, "extra") || s.DriftCorrected != 1 {
			t.Errorf("color %v, status %+v", color(k, g.Bundle), s)
		}
		k.edit("ConfigMap", g.Bundle, "settings", setColor("red"))
		m.await(t, g.Bundle, "drifted again", drifted(2))
		m.stop()
		m = start(whole, k)
		m.grant(g)
		m.await(t, g.Bundle, "still drifted", drifted(2))
		g.Correct = v1alpha1.Correction{Number: 9}
		m.stop() // the order comes while no member runs
		m = start(whole, k)
		m.grant(g)
		m.await(t, g.Bundle, "put right", drifted(0))
		eventually(t, "it is put right", func() bool { return color(k, g.Bundle) == "blue" && k.exists("ConfigMap", g.Bundle, "extra") })
		k.edit("ConfigMap", g.Bundle, "settings", setColor("red"))
		k.remove("ConfigMap", g.Bundle, "extra")
		m.await(t, g.Bundle, "drifted once more", drifted(2))
		for _, order := range []v1alpha1.Correction{{Number: 7}, {Number: 10, Until: metav1.Time{Time: time.Now().Add(-time.Second)}}} { // one that comes back, and one that has ended
			g.Correct = order
			m.stop()
			m = start(whole, k)
			m.grant(g)
			m.await(t, g.Bundle, "left as it is", drifted(2))
			m.isNews(t, g.Bundle, "")
			if color(k, g.Bundle) != "red" || k.exists("ConfigMap", g.Bundle, "extra") {
				t.Errorf("order %d was carried out", order.Number)
			}
		}
	})
	t.Run("a change that is taken back is no longer counted", func(t *testing.T) {
		k.edit("ConfigMap", g.Bundle, "settings", setColor("blue"))
		m.await(t, g.Bundle, "less drifted", drifted(1))
	})
	t.Run("the next revision puts all right", func(t *testing.T) {
		n := next(t, g, namespaceYAML+sep+settingsYAML+sep+extraYAML)
		m.grant(n)
		m.awaitReady(t, n)
		m.isNews(t, g.Bundle, n.Revision)
		if !k.exists("ConfigMap", g.Bundle, "extra") || m.last(g.Bundle).Drifted != 0 {
			t.Error("not put right")
		}
	})
}

// TestAFightIsSlow has somebody undo every repair at once.
func TestAFightIsSlow(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+settingsYAML)
	m.grant(g)
	m.awaitReady(t, g)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := k.of("ConfigMap", g.Bundle).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=settings"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	begun, some := time.Now(), false
	for range w.ResultChan() {
		n, took := m.last(g.Bundle).DriftCorrected, time.Since(begun)
		if some = n >= 5; some && took > 4*time.Second {
			break
		}
		if n > 20 { // the last ones of those are a minute apart
			t.Fatalf("corrected %d times in %s, want some at once and then few", n, took)
		}
		if color(k, g.Bundle) == "blue" {
			k.edit("ConfigMap", g.Bundle, "settings", setColor("red"))
		}
	}
	if !some {
		t.Errorf("corrected %d times, want some at once", m.last(g.Bundle).DriftCorrected)
	}
}
