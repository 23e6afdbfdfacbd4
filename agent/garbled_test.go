package agent

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/report"
)

// garbledState is a state in which one of each of what is sealed cannot be read: the group others, for which moved is sealed, the secret bad, a
// revision of it, and how a revision of db is sealed.
func garbledState(t *testing.T, c *Core) *store.View {
	t.Helper()
	values := sealedValues(t, c, func(*v1alpha1.FleetSecret) {})
	moved := v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "moved", UID: "m", Generation: 1}}
	moved.Spec = v1alpha1.FleetSecretSpec{Group: "others", Namespace: "crm"}
	values[v1alpha1.KeyFleetSecrets+"moved"] = moved
	for _, key := range []string{
		v1alpha1.KeyRecipientGroups + "others", v1alpha1.KeyFleetSecrets + "bad",
		v1alpha1.KeyBundleRevisions + "secret.bad-b-1", v1alpha1.KeySealings + "secret.db-u-1",
	} {
		values[key] = "junk"
	}
	for _, name := range []string{"moved", "bad"} {
		values[v1alpha1.GrantKey("fra", "secret."+name)] = v1alpha1.Grant{Bundle: "secret." + name, BundleUID: name[:1], Revision: "secret." + name + "-" + name[:1] + "-1"}
	}
	values[v1alpha1.KeyClusters+"fra"] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra"}}
	return storetest.View(t, store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Pin: store.Pin{1}}, values)
}

func TestWhatCannotBeReadIsAMatterOfItselfAlone(t *testing.T) {
	fra := keyHolder(t, "fra")
	fra.reports = report.New(report.Config{Self: "11111111-1111-4111-8111-111111111111"})
	v := garbledState(t, fra)

	all, err := fra.decoded.Bundles.List(v)
	var names []string
	for _, b := range all {
		names = append(names, b.Value.Name)
	}
	if got := strings.Join(names, " "); err != nil || got != "secret.db secret.moved" {
		t.Errorf("rolled out are %s: %v", got, err)
	}
	unread := fra.decoded.Bundles.Unread(v)
	if len(unread) != 2 || unread["secret.bad"] != "secret bad cannot be read" || unread["secret.moved"] != "recipient group others cannot be read" {
		t.Errorf("unread are %v", unread)
	}

	works, err := newWorks(fra).list(v)
	reasons := map[string]string{}
	for _, w := range works {
		if w.Spec.Cluster == "fra" {
			reasons[w.Spec.Bundle] = w.Status.Conditions[0].Reason
		}
	}
	if err != nil || len(reasons) != 3 || reasons["secret.moved"] != v1alpha1.ReasonUnreadable || reasons["secret.bad"] != v1alpha1.ReasonUnreadable || reasons["secret.db"] == v1alpha1.ReasonUnreadable {
		t.Errorf("the works of fra say %v: %v", reasons, err)
	}

	lines := strings.Join(keep.Unread(fra.decoded, v), "\n")
	for _, what := range []string{"recipient group others cannot be read", "secret bad cannot be read"} {
		if strings.Count(lines, what) != 1 {
			t.Errorf("of %q the status says\n%s", what, lines)
		}
	}
	if names := keep.Unrecovered(fra.decoded, v); len(names) != 1 || names[0] != "readers" {
		t.Errorf("without recovery are %v", names)
	}

	l, err := fra.Ledger(v)
	if err != nil || len(l.Exposed("fra").Items) == 0 {
		t.Fatalf("nothing that fra could read is told: %v", err)
	}
	if told := strings.Join(l.Unread(), "; "); told != "recipient group others cannot be read; secret bad cannot be read; bundle revision secret.bad-b-1 cannot be read" {
		t.Errorf("the ledger says that it lacks: %s", told)
	}
}

// A bundle is written though a secret cannot be read, and another selector of a group though another group cannot.
func TestWhatCannotBeReadKeepsNobodyFromWriting(t *testing.T) {
	fra := keyHolder(t, "fra")
	fra.reports = report.New(report.Config{Self: "11111111-1111-4111-8111-111111111111"})
	v := garbledState(t, fra)
	kv, _ := v.Get(v1alpha1.KeyRecipientGroups + "readers")
	var group v1alpha1.RecipientGroup
	if err := json.Unmarshal(kv.Value, &group); err != nil {
		t.Fatal(err)
	}
	group.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
	value, err := json.Marshal(group)
	if err != nil {
		t.Fatal(err)
	}
	for key, after := range map[string][]byte{
		kv.Key:                       value,
		v1alpha1.KeyBundles + "shop": []byte(`{"metadata": {"name": "shop"}, "spec": {"placement": {"clusters": ["fra"]}, "manifests": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "web", "name": "x"}}]}}`),
	} {
		if _, err := newClaims(fra).check(v, apiserver.Write{Key: key, After: after}); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// A secret that was suspended stays so once it cannot be read.
func TestWhatWasSuspendedStaysSoWhenItCannotBeRead(t *testing.T) {
	fra := keyHolder(t, "fra")
	v := garbledState(t, fra)
	was := suspensions{bundles: map[string]string{"secret.bad": "it is suspended", "secret.db": "it is suspended"}}
	now, err := fra.suspensions(v, was)
	if err != nil || now.of("secret.bad") != "it is suspended" || now.of("secret.db") != "" {
		t.Errorf("suspended are %v: %v", now, err)
	}
}
