package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/reconcile"
)

func TestTheKubeAPIServerIsAway(t *testing.T) {
	k := connect(t)
	cluster := sharedCluster(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+settingsYAML)
	m.grant(g)
	m.awaitReady(t, g)
	unknown := func(s v1alpha1.WorkStatus) bool {
		return s.Health == v1alpha1.HealthUnknown && len(s.Conditions) == 1 && s.Conditions[0].Status == metav1.ConditionUnknown
	}

	t.Run("that is reported, and ends by itself", func(t *testing.T) {
		if err := cluster.Kill(testbed.APIServer); err != nil {
			t.Fatal(err)
		}
		if s := m.await(t, g.Bundle, "unknown", unknown); s.Applied != g.Revision {
			t.Errorf("what was applied is forgotten: %+v", s)
		}
		if err := cluster.Start(t.Context(), testbed.APIServer); err != nil {
			t.Fatal(err)
		}
		m.awaitReady(t, g)
		k.edit("ConfigMap", g.Bundle, "settings", setColor("red"))
		eventually(t, "drift is repaired again", func() bool { return color(k, g.Bundle) == "blue" })
	})

	t.Run("a member that starts meanwhile waits, and takes up the newest grant", func(t *testing.T) {
		m.stop()
		if err := cluster.Kill(testbed.APIServer); err != nil {
			t.Fatal(err)
		}
		m := start(t, k)
		m.grant(g)
		m.await(t, g.Bundle, "unknown", func(s v1alpha1.WorkStatus) bool {
			return unknown(s) && s.Conditions[0].Reason == "Unreachable"
		})
		n := next(t, g, namespaceYAML+sep+settingsYAML+sep+extraYAML)
		m.grant(n)
		if err := cluster.Start(t.Context(), testbed.APIServer); err != nil {
			t.Fatal(err)
		}
		m.awaitReady(t, n)
		m.stop()
	})
}

func TestOnlyTheHolderOfTheLeaseActs(t *testing.T) {
	k := connect(t)
	first := start(t, k)
	g := bundle(t, namespaceYAML+sep+settingsYAML)
	first.grant(g)
	first.awaitReady(t, g)
	second := start(t, k, func(c *reconcile.Config) { c.Member = "member-2" })
	second.grant(next(t, g, namespaceYAML+sep+extraYAML))

	s := second.await(t, g.Bundle, "waiting", func(s v1alpha1.WorkStatus) bool {
		return len(s.Conditions) == 1 && s.Conditions[0].Reason == "LeaseHeld"
	})
	if !strings.Contains(s.Conditions[0].Message, "member-1") || s.Health != v1alpha1.HealthUnknown {
		t.Errorf("status: %+v", s)
	}
	leases := k.typed.CoordinationV1().Leases(reconcile.Namespace)
	before, err := leases.Get(t.Context(), reconcile.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lease is renewed", func() bool {
		now, err := leases.Get(context.Background(), reconcile.LeaseName, metav1.GetOptions{})
		return err == nil && now.Spec.RenewTime.Sub(before.Spec.RenewTime.Time) > 2*time.Second
	})
	if k.exists("ConfigMap", g.Bundle, "extra") || !k.exists("ConfigMap", g.Bundle, "settings") {
		t.Fatal("two acted at once")
	}
	first.stop()
	eventually(t, "the other takes over", func() bool {
		return k.exists("ConfigMap", g.Bundle, "extra") && !k.exists("ConfigMap", g.Bundle, "settings")
	})
}

func TestALeaseThatIsTakenAwayEndsTheSession(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+settingsYAML)
	m.grant(g)
	m.awaitReady(t, g)
	leases := k.typed.CoordinationV1().Leases(reconcile.Namespace)
	lease, err := leases.Get(t.Context(), reconcile.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a person takes the lease", func() bool {
		lease, err = leases.Get(context.Background(), reconcile.LeaseName, metav1.GetOptions{})
		if err != nil {
			return false
		}
		lease.Spec.HolderIdentity = new("a-person")
		_, err = leases.Update(context.Background(), lease, metav1.UpdateOptions{})
		return err == nil
	})
	m.await(t, g.Bundle, "waiting", func(s v1alpha1.WorkStatus) bool { return s.Conditions[0].Reason == "LeaseHeld" })
	k.edit("ConfigMap", g.Bundle, "settings", setColor("red"))
	// The person never renews it, so the member takes it back, and only then acts again.
	m.awaitReady(t, g)
	eventually(t, "drift is repaired", func() bool { return color(k, g.Bundle) == "blue" })
}
