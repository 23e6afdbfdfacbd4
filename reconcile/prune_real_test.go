package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

const (
	extraYAML = `
apiVersion: v1
kind: ConfigMap
metadata: {name: extra, namespace: NS}
data: {extra: "yes"}
`
	serviceYAML = `
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: NS}
spec: {selector: {app: shop}, ports: [{port: 80}]}
`
)

func TestPrune(t *testing.T) {
	whole := t
	k := connect(t)
	m := start(t, k)
	full := namespaceYAML + sep + settingsYAML + sep + extraYAML
	less := namespaceYAML + sep + settingsYAML
	// roll applies full, and returns what is to come next: less.
	roll := func(t *testing.T) (reconcile.Grant, reconcile.Grant) {
		g := bundle(t, full)
		m.grant(g)
		m.awaitReady(t, g)
		return g, next(t, g, less)
	}

	t.Run("what left the bundle is deleted", func(t *testing.T) {
		g, without := roll(t)
		m.grant(without)
		m.awaitReady(t, without)
		if k.exists("ConfigMap", g.Bundle, "extra") || !k.exists("ConfigMap", g.Bundle, "settings") {
			t.Error("pruned too little or too much")
		}
	})

	t.Run("an object of that name that somebody else made since is not", func(t *testing.T) {
		g, without := roll(t)
		m.stop()
		k.remove("ConfigMap", g.Bundle, "extra")
		k.create(strings.ReplaceAll(extraYAML, "NS", g.Bundle))
		m = start(whole, k)
		m.grant(without)
		m.awaitReady(t, without)
		if !k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("an object with another UID was deleted")
		}
	})

	t.Run("an object that only bears our labels is not", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+serviceYAML)
		m.grant(g)
		m.awaitReady(t, g)
		labels := k.must(k.get("Service", g.Bundle, "shop")).GetLabels()
		slices := k.of("EndpointSlice", g.Bundle)
		var copied *unstructured.Unstructured
		eventually(t, "the endpointslice controller copies the labels", func() bool {
			list, err := slices.List(context.Background(), metav1.ListOptions{})
			if err != nil || len(list.Items) == 0 {
				return false
			}
			copied = &list.Items[0]
			return copied.GetLabels()[reconcile.LabelBundle] == labels[reconcile.LabelBundle]
		})
		// A bundle that holds slices itself watches them, so that it sees the copies.
		const ownSlice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: own, namespace: NS}
addressType: IPv4
endpoints: []
`
		with := next(t, g, namespaceYAML+sep+serviceYAML+sep+ownSlice)
		m.grant(with)
		m.awaitReady(t, with)
		without := next(t, with, namespaceYAML+sep+serviceYAML)
		m.grant(without)
		m.awaitReady(t, without)
		if k.exists("EndpointSlice", g.Bundle, "own") || k.must(k.get("EndpointSlice", g.Bundle, copied.GetName())).GetUID() != copied.GetUID() {
			t.Error("pruned by label, not by inventory")
		}
	})

	t.Run("without the inventory nothing is", func(t *testing.T) {
		g, without := roll(t)
		k.editHead(g.Bundle, nil)
		m.grant(without)
		m.awaitReady(t, without)
		if !k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("pruned without an inventory")
		}
	})

	t.Run("by half an inventory nothing is", func(t *testing.T) {
		g, without := roll(t)
		k.editHead(g.Bundle, func(head map[string]string) {
			head["objects"] = head["objects"][:strings.LastIndex(strings.TrimSpace(head["objects"]), "\n")+1]
		})
		m.grant(without)
		status := m.awaitReady(t, without)
		if !k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("pruned by a damaged inventory")
		}
		if c := status.Conditions[0]; !strings.Contains(c.Message, "inventory is damaged") {
			t.Errorf("condition: %+v", c)
		}
	})

	t.Run("by a damaged inventory nothing is withdrawn, until a person gives it up", func(t *testing.T) {
		g, _ := roll(t)
		k.editHead(g.Bundle, func(head map[string]string) { head["chunks"] = "2" })
		m.grant(withdraw(g))
		m.await(t, g.Bundle, "refusing", func(s v1alpha1.WorkStatus) bool {
			return s.Health == v1alpha1.HealthUnknown && strings.Contains(s.Conditions[0].Message, `{"data":{"`+g.Bundle+`":null}}`)
		})
		if !k.exists("ConfigMap", g.Bundle, "extra") || m.isWithdrawn(g.Bundle, g.BundleUID) {
			t.Error("withdrawn by a damaged inventory")
		}
		k.editHead(g.Bundle, nil)
		eventually(t, "the withdrawal goes on", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
		if !k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("deleted what was given up")
		}
	})

	t.Run("a bundle without objects prunes nothing", func(t *testing.T) {
		g, without := roll(t)
		without.Objects = nil
		m.grant(without)
		m.await(t, g.Bundle, "applied", func(s v1alpha1.WorkStatus) bool { return s.Applied == without.Revision })
		if !k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("pruned all")
		}
	})

	t.Run("a bundle that the cluster does not take as a whole prunes nothing yet", func(t *testing.T) {
		g, _ := roll(t)
		bad := next(t, g, less+sep+"{apiVersion: v1, kind: Service, metadata: {name: wrong, namespace: NS}, spec: {ports: [{port: 99999}]}}")
		m.grant(bad)
		m.awaitProblem(t, g.Bundle, reconcile.ReasonRefused, "wrong")
		m.await(t, g.Bundle, "applied", func(s v1alpha1.WorkStatus) bool { return s.Applied == bad.Revision })
		if !k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("pruned what the refused object was to replace")
		}
		good := next(t, bad, less)
		m.grant(good)
		m.awaitReady(t, good)
		if k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("not pruned in the end")
		}
	})

	t.Run("what a revision lets go of stays let go of, whatever the next one says", func(t *testing.T) {
		g, _ := roll(t)
		bad := next(t, g, less+sep+"{apiVersion: v1, kind: Service, metadata: {name: wrong, namespace: NS}, spec: {ports: [{port: 99999}]}}")
		bad.Deletion = v1alpha1.DeletionOrphan
		m.grant(bad)
		m.awaitProblem(t, g.Bundle, reconcile.ReasonRefused, "wrong")
		good := next(t, bad, less)
		good.Deletion = v1alpha1.DeletionPrune
		m.grant(good)
		m.awaitReady(t, good)
		eventually(t, "it is let go of", func() bool { return len(k.must(k.get("ConfigMap", g.Bundle, "extra")).GetLabels()) == 0 })
	})

	t.Run("an older grant does nothing", func(t *testing.T) {
		g, without := roll(t)
		newer := next(t, without, full)
		m.grant(newer)
		m.awaitReady(t, newer)
		m.grant(without)
		m.await(t, g.Bundle, "refusing", func(s v1alpha1.WorkStatus) bool {
			return len(s.Conditions) == 1 && s.Conditions[0].Reason == "OldGrant"
		})
		old := withdraw(g)
		old.StoreRevision = 1
		m.grant(old)
		other := bundle(t, namespaceYAML)
		m.grant(old, other)
		m.awaitReady(t, other)
		if !k.exists("ConfigMap", g.Bundle, "extra") || m.isWithdrawn(g.Bundle, g.BundleUID) {
			t.Error("acted on an older grant")
		}
		k.remove("ConfigMap", g.Bundle, "extra")
		eventually(t, "the newer grant is still carried out", func() bool { return k.exists("ConfigMap", g.Bundle, "extra") })
		m.stop()
		m = start(whole, k, func(c *reconcile.Config) { c.Timing.Look = 100 * time.Millisecond })
		m.grant(without)
		m.await(t, g.Bundle, "refusing after a restart", func(s v1alpha1.WorkStatus) bool {
			return len(s.Conditions) == 1 && s.Conditions[0].Reason == "OldGrant"
		})
		k.editHead(g.Bundle, nil) // as kubectl patch does that the message of a lost epoch has
		m.awaitReady(t, without)
	})

	t.Run("a new bundle of the same name adopts, and prunes nothing of the old one", func(t *testing.T) {
		g, without := roll(t)
		without.BundleUID, without.Revision, without.StoreRevision = "another-uid", "another-1", 1
		uid := k.must(k.get("ConfigMap", g.Bundle, "settings")).GetUID()
		m.grant(without)
		m.awaitReady(t, without)
		if !k.exists("ConfigMap", g.Bundle, "extra") || k.must(k.get("ConfigMap", g.Bundle, "settings")).GetUID() != uid {
			t.Error("not adopted as it was")
		}
		again := next(t, without, full)
		m.grant(again)
		m.awaitReady(t, again)
		last := next(t, again, less)
		m.grant(last)
		m.awaitReady(t, last)
		if k.exists("ConfigMap", g.Bundle, "extra") {
			t.Error("what the new bundle held itself was not pruned")
		}
	})

	t.Run("by policy Orphan it stays, without our labels", func(t *testing.T) {
		g, without := roll(t)
		without.Deletion = v1alpha1.DeletionOrphan
		m.grant(without)
		m.awaitReady(t, without)
		u := k.must(k.get("ConfigMap", g.Bundle, "extra"))
		if len(u.GetLabels()) != 0 || u.Object["data"].(map[string]any)["extra"] != "yes" {
			t.Errorf("orphaned: %v", u)
		}
		for _, f := range u.GetManagedFields() {
			if f.Manager == reconcile.FieldManager {
				t.Error("our field manager still owns fields")
			}
		}
		m.grant(withdraw(without))
		eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
		if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); len(u.GetLabels()) != 0 {
			t.Errorf("orphaned: %v", u)
		}
		if n := k.inventory(g.Bundle); n != 0 {
			t.Errorf("%d parts of the inventory were left", n)
		}
	})
}

func TestWithdrawal(t *testing.T) {
	whole := t
	k := connect(t)
	m := start(t, k)

	t.Run("waits for a finalizer, says so, and does not hold up others", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML+sep+extraYAML)
		other := bundle(t, namespaceYAML)
		m.grant(g, other)
		m.awaitReady(t, g)
		m.awaitReady(t, other)
		k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) {
			u.SetFinalizers([]string{"test.example/hold"})
		})
		m.grant(withdraw(g), withdraw(other))
		eventually(t, "the other bundle is withdrawn", func() bool { return m.isWithdrawn(other.Bundle, other.BundleUID) })
		p := m.awaitProblem(t, g.Bundle, reconcile.ReasonPruneFailed, "settings")
		if !strings.Contains(p.Message, "test.example/hold") {
			t.Errorf("message: %s", p.Message)
		}
		if k.exists("ConfigMap", g.Bundle, "extra") || m.isWithdrawn(g.Bundle, g.BundleUID) {
			t.Error("the object beside it was not deleted, or the bundle is told to be gone")
		}
		patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": nil}})
		if _, err := k.of("ConfigMap", g.Bundle).Patch(context.Background(), "settings", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
		if k.exists("Namespace", "", g.Bundle) {
			t.Error("the namespace is still there")
		}
	})

	t.Run("is told until the fleet has heard it", func(t *testing.T) {
		g := bundle(t, namespaceYAML)
		m.grant(g)
		m.awaitReady(t, g)
		m.mu.Lock()
		m.refuse = errors.New("no quorum")
		m.mu.Unlock()
		m.grant(withdraw(g))
		eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
	})

	t.Run("goes on after a restart, and of a bundle that never ran is told at once", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		m.grant(g)
		m.awaitReady(t, g)
		m.stop()
		m = start(whole, k)
		never := bundle(t, namespaceYAML)
		m.grant(withdraw(g), withdraw(never))
		eventually(t, "both are withdrawn", func() bool {
			return m.isWithdrawn(g.Bundle, g.BundleUID) && m.isWithdrawn(never.Bundle, never.BundleUID)
		})
		if k.exists("Namespace", "", g.Bundle) {
			t.Error("the namespace is still there")
		}
	})

	t.Run("of an earlier bundle of the name leaves the later one alone", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		m.grant(g)
		m.awaitReady(t, g)
		earlier := withdraw(g)
		earlier.BundleUID = "earlier"
		m.grant(earlier)
		eventually(t, "the earlier bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, "earlier") })
		if !k.exists("ConfigMap", g.Bundle, "settings") {
			t.Error("the later bundle's object was deleted")
		}
	})
}
