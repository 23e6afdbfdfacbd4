// Package keeptest makes what the log has of a group and of a secret that is sealed for it.
package keeptest

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

// Fleet is the one that the keys are of.
const Fleet = "acme"

// Sealed are the values of a log in which the secret db, sealed for the group readers, is granted to fra and to sin; only one cluster has the group's key.
// What is changed of the secret is so in its revision, too.
func Sealed(t testing.TB, cluster string, to secrets.Recipient, change func(*v1alpha1.FleetSecret)) map[string]any {
	t.Helper()
	key, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	g.Status = v1alpha1.RecipientGroupStatus{Recipient: key.Recipient().String(), Epoch: 1}
	wrap, err := secrets.Wrap(to, secrets.Key{Fleet: Fleet, Group: "readers", Epoch: 1}, key)
	if err != nil {
		t.Fatal(err)
	}
	g.Status.Wraps = []v1alpha1.KeyWrap{{Cluster: cluster, Key: v1alpha1.KeyID(to.String()), Epoch: 1, Wrap: wrap}}
	s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"}}
	s.Spec = v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop", Immutable: true}
	if s.Spec.Data, err = secrets.Seal(key.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("canary-4711")},
		secrets.Bound{Target: secrets.Target{Namespace: "crm", Name: "api"}}, secrets.Bound{Target: secrets.Target{Namespace: "web", Name: "db"}, Keys: []string{"password"}}); err != nil {
		t.Fatal(err)
	}
	change(s)
	manifests := []any{s}
	for _, target := range s.Targets()[1:] {
		manifests = append(manifests, v1alpha1.FleetSecret{TypeMeta: s.TypeMeta, ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name}})
	}
	stored := s.DeepCopy()
	stored.Namespace = ""
	values := map[string]any{
		v1alpha1.KeyFleetSecrets + "db":         stored,
		v1alpha1.KeyRecipientGroups + "readers": g,
		v1alpha1.KeyBundleRevisions + "secret.db-u-1": map[string]any{"spec": map[string]any{
			"bundle": "secret.db", "bundleUID": "u", "manifests": manifests}},
	}
	for _, cluster := range []string{"fra", "sin"} {
		values[v1alpha1.GrantKey(cluster, "secret.db")] = v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u", Revision: "secret.db-u-1"}
	}
	return values
}
