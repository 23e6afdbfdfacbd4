package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

func TestASuspendedBundleIsLookedAtAndNotTouched(t *testing.T) {
	k := connect(t)
	m := start(t, k, func(c *reconcile.Config) { c.Timing.Look = time.Hour }) // it is the watches that say when
	g := bundle(t, namespaceYAML+sep+settingsYAML)
	m.grant(g)
	m.awaitReady(t, g)
	stopped := g
	stopped.Observe, stopped.Suspended = true, "the bundle is suspended since noon by anna"
	m.grant(stopped)
	said := func(changes int32) func(v1alpha1.WorkStatus) bool {
		return func(s v1alpha1.WorkStatus) bool {
			return s.Drifted == changes && len(s.Conditions) == 1 && s.Conditions[0].Reason == v1alpha1.ReasonSuspended &&
				strings.HasPrefix(s.Conditions[0].Message, stopped.Suspended+": ")
		}
	}
	m.await(t, g.Bundle, "suspended", said(0))
	k.remove("ConfigMap", g.Bundle, "settings")
	m.await(t, g.Bundle, "suspended, and an object is gone", said(1))
	m.grant(g)
	m.awaitReady(t, g)
	m.grant(stopped)
	m.await(t, g.Bundle, "suspended again", said(0))
	k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"color": "red"} })
	more := next(t, g, namespaceYAML+sep+strings.ReplaceAll(settingsYAML, "blue", "green"))
	more.Observe, more.Suspended = true, stopped.Suspended
	m.grant(more)
	m.await(t, g.Bundle, "suspended with another revision", func(s v1alpha1.WorkStatus) bool { return said(0)(s) && s.Foreseen != nil && s.Foreseen.Changes == 1 })
	m.grant(stopped)
	m.await(t, g.Bundle, "suspended, and drifted", said(1))
	if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); u.Object["data"].(map[string]any)["color"] != "red" {
		t.Errorf("it was touched: %v", u.Object["data"])
	}
	m.grant(g)
	m.awaitReady(t, g)
	if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); u.Object["data"].(map[string]any)["color"] != "blue" {
		t.Errorf("it was not put right afterwards: %v", u.Object["data"])
	}
}

func TestWhatIsOnlyObservedForetellsWhatItWouldTakeOver(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+settingsYAML)
	k.create(strings.ReplaceAll(namespaceYAML, "NS", g.Bundle))
	k.create(strings.ReplaceAll(strings.ReplaceAll(settingsYAML, "blue", "red"), "NS", g.Bundle))
	g.Observe = true
	for _, c := range []struct {
		adopt   v1alpha1.AdoptPolicy
		changes int32
	}{
		{v1alpha1.AdoptNever, 0},
		{v1alpha1.AdoptIfEqual, 1}, // the namespace alone is as the bundle says
		{v1alpha1.AdoptAlways, 2},
	} {
		g.Adopt = c.adopt
		g.StoreRevision++
		g.Revision = g.Bundle + "-" + string(c.adopt)
		g.At++
		m.grant(g)
		s := m.await(t, g.Bundle, "observed", func(s v1alpha1.WorkStatus) bool { return s.Grant == g.At && s.Foreseen != nil })
		if s.Foreseen.Changes != c.changes {
			t.Errorf("adopt %s: %d changes are foretold, not %d", c.adopt, s.Foreseen.Changes, c.changes)
		}
	}
	if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); u.Object["data"].(map[string]any)["color"] != "red" || len(u.GetLabels()) != 0 {
		t.Errorf("it was touched: %v", u.Object)
	}
}

func TestABundleThatIsOnlyObservedIsLeftAsItIs(t *testing.T) {
	k := connect(t)
	const sep = "\n---\n"
	const kept = namespaceYAML + sep + "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: NS}, data: {a: '1'}}"
	const full = kept + sep + "{apiVersion: v1, kind: ConfigMap, metadata: {name: extra, namespace: NS}}"
	m := start(t, k)
	g := bundle(t, full)
	g.StoreRevision = 100
	m.grant(g)
	m.awaitReady(t, g)
	m.stop()

	// What the fleet's state says after a restore: another content, without one of the objects, with a new one.
	other := next(t, g, strings.Replace(kept, "'1'", "'2'", 1)+sep+"{apiVersion: v1, kind: ConfigMap, metadata: {name: new, namespace: NS}}")
	m = start(t, k)
	observed := other
	observed.Observe = true
	m.grant(observed)
	reason := func(want string) func(v1alpha1.WorkStatus) bool {
		return func(s v1alpha1.WorkStatus) bool { return len(s.Conditions) == 1 && s.Conditions[0].Reason == want }
	}
	s := m.await(t, g.Bundle, "observed", reason(v1alpha1.ReasonObserving))
	if f := s.Foreseen; f == nil || f.Changes != 2 || f.Deletions != 1 || s.Applied != g.Revision {
		t.Errorf("foreseen %+v of %s", f, s.Applied)
	}
	gone := withdraw(other)
	gone.Observe = true
	m.grant(gone)
	m.await(t, g.Bundle, "observed as withdrawn", func(s v1alpha1.WorkStatus) bool {
		return reason(v1alpha1.ReasonObserving)(s) && s.Foreseen != nil && s.Foreseen.Deletions > 0
	})
	k.remove("ConfigMap", g.Bundle, "extra") // drift, that nobody repairs now
	older := g
	older.Observe, older.StoreRevision = true, 1
	m.grant(older)
	m.await(t, g.Bundle, "newer than what is granted", reason(v1alpha1.ReasonOldGrant))
	if k.exists("ConfigMap", g.Bundle, "extra") || k.exists("ConfigMap", g.Bundle, "new") {
		t.Error("something was applied")
	}
	if u := k.must(k.get("ConfigMap", g.Bundle, "kept")); u.Object["data"].(map[string]any)["a"] != "1" {
		t.Errorf("it was changed: %v", u.Object["data"])
	}

	older.Observe = false // a person says go: what is newer still stays
	m.grant(older)
	m.await(t, g.Bundle, "still newer", reason(v1alpha1.ReasonOldGrant))
	if k.exists("ConfigMap", g.Bundle, "extra") {
		t.Error("it was downgraded")
	}
	m.grant(other) // and decides about the bundle
	m.awaitReady(t, other)
	if !k.exists("ConfigMap", g.Bundle, "new") {
		t.Error("what was decided is not there")
	}
}

func TestAfterARestoreABundleThatWasMadeAgainIsNotRolledBack(t *testing.T) {
	k := connect(t)
	manifest := func(value string) string {
		return namespaceYAML + "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: NS}, data: {a: '" + value + "'}}"
	}
	m := start(t, k)
	again := bundle(t, manifest("2")) // deleted, and made again under its name, after the backup
	again.StoreRevision, again.Epoch = 20, reconcile.Epoch{Number: 1, ID: "first", Began: 1}
	m.grant(again)
	m.awaitReady(t, again)
	m.stop()

	restored := reconcile.Epoch{Number: 2, ID: "second", Began: 1<<32 + 14}
	before := next(t, again, manifest("1"))
	before.BundleUID, before.StoreRevision, before.Epoch = again.BundleUID+"-before", 10, restored
	m = start(t, k)
	before.Observe = true
	m.grant(before)
	old := func(s v1alpha1.WorkStatus) bool {
		return len(s.Conditions) == 1 && s.Conditions[0].Reason == v1alpha1.ReasonOldGrant
	}
	m.await(t, before.Bundle, "newer than what is granted", old)
	before.Observe = false // a person says go
	m.grant(before)
	m.await(t, before.Bundle, "still newer", old)
	m.stop()
	k.editHead(before.Bundle, func(head map[string]string) { head["sha256"] = "x" })
	m = start(t, k)
	m.grant(before)
	s := m.await(t, before.Bundle, "not known", old)
	if !strings.Contains(s.Conditions[0].Message, "is damaged") {
		t.Errorf("told: %s", s.Conditions[0].Message)
	}
	if u := k.must(k.get("ConfigMap", again.Bundle, "kept")); u.Object["data"].(map[string]any)["a"] != "2" {
		t.Errorf("it was rolled back: %v", u.Object["data"])
	}
	decided := next(t, before, manifest("3"))
	decided.StoreRevision, decided.Epoch = restored.Began+1, restored
	m.grant(decided)
	m.awaitReady(t, decided)
}
