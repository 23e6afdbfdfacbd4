package epoch

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

var noon = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

// state is one in which these ops are the whole history.
func state(t *testing.T, from *store.View, ops ...store.Op) *store.View {
	t.Helper()
	s, err := from.Succeed(store.Succession{ID: "state", Index: from.Index() + 1, Ops: ops})
	if err != nil {
		t.Fatal(err)
	}
	return s.View()
}

func put(t *testing.T, key string, value any) store.Op {
	t.Helper()
	op, err := law.Put(key, value)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func memberOf(cluster string) store.Member {
	pin := store.Pin{}
	copy(pin[:], cluster)
	return store.Member{ID: store.MemberID("id-" + cluster), Cluster: cluster, Region: "r-" + cluster, Eligible: true, Rights: string(v1alpha1.RightsAdmin), Pin: pin}
}

func clusterOf(name string) *v1alpha1.Cluster {
	terms := law.Terms{Cluster: name, Region: "r-" + name, Zone: "z", Labels: map[string]string{"tier": "prod"}, Voting: v1alpha1.VotingEligible, Rights: v1alpha1.RightsAdmin}
	return NewCluster(metav1.ObjectMeta{UID: "u"}, terms, memberOf(name), "v1")
}

// fleet has fra and iad with members, and sin, which is on record without one.
func fleet(t *testing.T) *store.View {
	t.Helper()
	ops := []store.Op{store.PutMember(memberOf("fra")), store.PutMember(memberOf("iad"))}
	for _, name := range []string{"fra", "iad", "sin"} {
		ops = append(ops, put(t, v1alpha1.KeyClusters+name, clusterOf(name)))
	}
	return state(t, store.New(nil).View(), ops...)
}

// looking is the fleet, with clusters that only look.
func looking(t *testing.T, clusters ...string) *store.View {
	t.Helper()
	var ops []store.Op
	for _, name := range clusters {
		ops = append(ops, put(t, v1alpha1.KeyObserving+name, v1alpha1.Observing{Reason: v1alpha1.ReasonRecovered, Since: noon.Time}))
	}
	return state(t, fleet(t), ops...)
}

// sealed is a state with a group of all clusters, whose key these have, each by a recipient of its own, and a secret for it. No name is a recovery
// recipient.
func sealed(t *testing.T, v *store.View, group string, openers ...string) *store.View {
	t.Helper()
	g := &v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: group}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}}}
	g.Status.Epoch = 1
	s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db-" + group}, Spec: v1alpha1.FleetSecretSpec{Group: group}}
	ops := []store.Op{put(t, v1alpha1.KeyFleetSecrets+s.Name, s),
		store.Put(v1alpha1.KeyBundleRevisions+s.RevisionName(), []byte(`{"spec":{"bundle":"secret.db-`+group+`","manifests":[{"spec":{"group":"`+group+`"}}]}}`))}
	for kv := range v.Iterate(v1alpha1.KeyClusters, "") {
		c, _, err := OnRecord(v, kv.Key[len(v1alpha1.KeyClusters):])
		if err != nil {
			t.Fatal(err)
		}
		c.Status.Recipient = "of " + c.Name
		ops = append(ops, put(t, kv.Key, c))
	}
	for _, name := range openers {
		if name == "" {
			g.Spec.RecoveryRecipients = []string{"of "}
		}
		g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 1, Wrap: []byte("x")})
	}
	return state(t, v, append(ops, put(t, v1alpha1.KeyRecipientGroups+group, g))...)
}
