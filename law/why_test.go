package law

import (
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Whoever is refused reads what, why and what to do next, in the words of people: no keys of the store.
func TestARefusalSaysWhatWhyAndWhatNext(t *testing.T) {
	r := newRealm(t)
	shop, own := r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "fra", "sin")), r.put(v1alpha1.KeyBundles+"new", r.bundle("new", "fra"))
	other := r.bundle("shop", "fra")
	other.UID = "u-other"
	user := r.put(v1alpha1.KeyUsers+"mallory", &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("mallory"), Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleAdmin}})
	region := r.cluster("sin", func(c *v1alpha1.Cluster) { c.Labels = map[string]string{"tier": "prod"} })
	vote := r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Voter = v1alpha1.RoleVoter })
	for name, c := range map[string]struct {
		member, person string
		op             store.Op
		want           string
	}{
		"a viewer": {"id-fra", "vera", shop,
			"vera, through the member of fra, may not update bundle shop: vera is Viewer, and that takes Operator; ask an admin, who may also change the role: kubectl edit users.fleet.hanse.dev vera"},
		"an operator": {"id-fra", "otto", region,
			"otto, through the member of fra, may not update cluster sin: otto is Operator, and that takes Admin; ask an admin, who may also change the role: kubectl edit users.fleet.hanse.dev otto"},
		"an admin of the fleet, through a cluster that only reads": {"id-sin", "anna", shop,
			"anna, through the member of sin, may not update bundle shop: cluster sin has the rights ReadOnly, whoever asks through it; ask in one that has Admin: hanse get clusters -o wide"},
		"an admin of a cluster that may write its own": {"id-iad", "hanse:iad:root", own,
			"hanse:iad:root, through the member of iad, may not create bundle new: cluster iad has the rights OwnObjects: bundles for it alone (placement.clusters: [iad], soak 10m0s at most, no stages); ask in one that has Admin: hanse get clusters -o wide"},
		"the socket of one": {"id-iad", v1alpha1.LocalPerson, region,
			"whoever has the socket of the member of iad may not update cluster sin: cluster iad has the rights OwnObjects, whoever asks through it; ask in one that has Admin: hanse get clusters -o wide"},
		"who lets somebody in through a cluster": {"id-fra", "hanse:fra:root", user,
			"hanse:fra:root, through the member of fra, may not create user mallory: who is let into the fleet is for its own people to say; use a kubeconfig of hanse kubeconfig or hanse user create"},
		"a bundle in another's place": {"id-fra", "anna", r.put(v1alpha1.KeyBundles+"shop", other),
			"anna, through the member of fra, may not update bundle shop: it keeps its name and uid, and no field is there twice, in another case or of another type; use hanse apply or kubectl apply"},
		"a cluster that nobody joined": {"id-fra", "anna", store.Put(v1alpha1.KeyClusters+"mars", region.Value),
			"anna, through the member of fra, may not create cluster mars: clusters join: hanse token create"},
		"a vote": {"id-fra", "anna", vote,
			"anna, through the member of fra, may not update cluster sin: its status is the leader's to say; set spec.voting, and the leader follows"},
		"what only the leader writes": {"id-fra", "anna", store.Put("/backups/fleet", []byte("{}")),
			"anna, through the member of fra, may not create /backups/fleet: nobody but the leader writes that"},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.tryBare(store.MemberID(c.member), c.person, 0, c.op)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("told:\n%v\nnot:\n%s", err, c.want)
			}
		})
	}
}

// A refusal is cut at a length (store.MaxReason), and the next step stands at its end.
func TestARefusalOfLongNamesIsWhole(t *testing.T) {
	cluster, name := strings.Repeat("c", 40), strings.Repeat("n", 63)
	argo := "hanse:" + cluster + ":system:serviceaccount:argocd:argocd-application-controller"
	for _, a := range []asker{
		{cluster: cluster, rights: v1alpha1.RightsOwnObjects, person: argo, role: v1alpha1.RoleAdmin, guest: true},
		{cluster: cluster, rights: v1alpha1.RightsReadOnly, person: argo, role: v1alpha1.RoleAdmin, guest: true},
		{cluster: cluster, rights: v1alpha1.RightsAdmin, person: "anna.schmidt-lindenberg@department.example.com", role: v1alpha1.RoleViewer},
	} {
		w := write{asker: a, prefix: v1alpha1.KeyBundles, name: name, op: store.Put(v1alpha1.KeyBundles+name, []byte("{}")), before: []byte("{}"), read: bundles{}}
		if err := w.refused(); err == nil || len(err.Error()) > store.MaxReason {
			t.Errorf("cut at %d: %v", store.MaxReason, err)
		}
	}
}
