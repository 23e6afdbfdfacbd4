package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/project"
)

func TestTheProjectorIsToldWhatTheLogSays(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}, Server: "https://192.0.2.1:7947", Certificate: []byte("der")}
	cluster := func(name string) v1alpha1.Cluster {
		c := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("of " + name), Labels: map[string]string{"tier": name}}}
		c.Spec.Region, c.Status.KubernetesVersion = "eu", "v1.37.2"
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Reached"})
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionControlPlaneHealthy, Status: metav1.ConditionFalse, Reason: "NoAnswer"})
		return c
	}
	v := storetest.View(t, member, map[string]any{
		v1alpha1.KeyClusters + "fra":        cluster("fra"),
		v1alpha1.KeyClusters + "sin":        cluster("sin"),
		v1alpha1.KeyBundles + "shop":        v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "b1"}},
		v1alpha1.GrantKey("sin", "shop"):    v1alpha1.Grant{Bundle: "shop", BundleUID: "b1", Revision: "shop-1"},
		v1alpha1.GrantKey("fra", "shop"):    v1alpha1.Grant{Bundle: "shop", BundleUID: "b1", Revision: "shop-1"},
		v1alpha1.GrantKey("iad", "shop"):    v1alpha1.Grant{Bundle: "shop", BundleUID: "b1", Withdraw: true},
		v1alpha1.GrantKey("fra", "earlier"): v1alpha1.Grant{Bundle: "shop", BundleUID: "b0", Revision: "shop-9"},
	})
	got, err := newProjections(&Core{self: self{Fleet: "acme", Cluster: "fra"}, decoded: decoded.NewKinds()}).read(v)
	if err != nil {
		t.Fatal(err)
	}
	want := project.Fleet{Name: "acme", Cluster: "fra", Epoch: v.Epoch().ID, Revision: uint64(v.Revision()),
		Bundles: []project.Bundle{{Name: "shop", UID: "b1", Clusters: []string{"fra", "sin"}}}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(project.Fleet{}, "Members")); diff != "" {
		t.Error(diff)
	}
	for i, c := range []struct{ name, server string }{{"fra", member.Server}, {"sin", ""}} { // sin's member is not in the fleet any more
		m := got.Members[i]
		if m.Cluster != c.name || m.UID != "of "+c.name || m.Server != c.server || (len(m.Certificate) > 0) != (c.server != "") || m.Labels["tier"] != c.name ||
			m.Kubernetes != "v1.37.2" || m.Healthy == nil || m.Healthy.Reason != "NoAnswer" {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
}
