package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
)

// What a secret is rolled out as is nothing that people can look at: they are told of the secret, and of the Secret in their cluster.
func TestPeopleAreToldOfTheSecretItself(t *testing.T) {
	if ref := rolledOutRef("secret.db", "u"); ref.Kind != "FleetSecret" || ref.Name != "db" || ref.UID != "u" {
		t.Errorf("an event of it is about %+v", ref)
	}
	r := waitingRollout()
	r.Spec.Bundle = "secret.db"
	if e := deletionEvent(&r, "iad"); e == nil || !strings.HasPrefix(e.Note, "secret db is deleted, but the 6 objects") || !strings.HasSuffix(e.Note, "hanse rollout approve shop-b1-withdrawal --deletions") {
		t.Errorf("said %+v", e)
	}
	fra := keyHolder(t, "fra")
	content, there := contents{}.of(sealedState(t, fra, func(*v1alpha1.FleetSecret) {}), "secret.db-u-1")
	if want := []v1alpha1.ObjectRef{{APIVersion: "v1", Kind: "Secret", Namespace: "shop", Name: "db"}}; !there || !slices.Equal(content.Objects, want) {
		t.Errorf("its revision brings %v", content.Objects)
	}
}

func TestASecretIsSuspendedAsABundleIs(t *testing.T) {
	stopped := map[string]string{v1alpha1.AnnotationSuspended: "moving disks"}
	bundle, secret := &v1alpha1.Bundle{}, &v1alpha1.FleetSecret{}
	bundle.Name, bundle.Annotations = "shop", stopped
	secret.Name, secret.Annotations = "db", stopped
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, map[string]any{v1alpha1.KeyBundles + "shop": bundle, v1alpha1.KeyFleetSecrets + "db": secret})
	c := &Core{decoded: decoded.NewKinds()}
	if got := c.suspended(v); len(got) != 2 || !strings.HasSuffix(got[0], "hanse unsuspend bundle/shop") || !strings.HasPrefix(got[1], "secret db is ") || !strings.HasSuffix(got[1], "hanse unsuspend fleetsecret/db") {
		t.Errorf("said %q", got)
	}
	s, err := c.suspensions(v, suspensions{})
	if err != nil || !strings.HasPrefix(s.of("secret.db"), "secret db is ") || !strings.Contains(s.of("secret.db"), "moving disks") || s.of("secret.web") != "" {
		t.Errorf("%v, %q and %q", err, s.of("secret.db"), s.of("secret.web"))
	}
}
