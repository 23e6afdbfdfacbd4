package law

import (
	"fmt"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// spoken are the kinds that people know, by their prefix.
var spoken = map[string]string{
	v1alpha1.KeyBundles: "bundle", v1alpha1.KeyClusters: "cluster", v1alpha1.KeyFleets: "fleet", v1alpha1.KeyUsers: "user", v1alpha1.KeyRollouts: "rollout",
	v1alpha1.KeyBundleRevisions: "bundle revision", v1alpha1.KeyChanges: "change",
	v1alpha1.KeyRecipientGroups: "recipient group", v1alpha1.KeyFleetSecrets: "secret",
}

// Thing is what a key holds, as people call it; what they do not know is called by its key.
func Thing(key string) string {
	prefix, name := splitKey(key)
	switch kind := spoken[prefix]; {
	case kind != "":
		return kind + " " + name
	case prefix == KeyTokens:
		return "a token"
	case prefix == v1alpha1.KeySealings:
		return "how revision " + name + " is sealed"
	case prefix == v1alpha1.KeyPasts:
		return "what was before change " + name
	case prefix == v1alpha1.KeyObserving:
		return "that cluster " + name + " only looks"
	case prefix == v1alpha1.KeyGrants:
		cluster, bundle := v1alpha1.CutGrantKey(key)
		return "the grant of " + v1alpha1.RolledOutOf(bundle).Title() + " to cluster " + cluster
	case prefix == v1alpha1.KeyTombstones:
		return "what is left of the deleted bundle with uid " + name
	case key == v1alpha1.KeyBackups:
		return "the record of backups"
	}
	return key
}

// least is the role that people need to write under a prefix; "" where they do not.
func least(prefix string) v1alpha1.Role {
	switch prefix {
	case v1alpha1.KeyBundles, v1alpha1.KeyRollouts, v1alpha1.KeyFleetSecrets:
		return v1alpha1.RoleOperator
	case v1alpha1.KeyRecipientGroups, v1alpha1.KeyFleets, v1alpha1.KeyUsers, v1alpha1.KeyClusters, v1alpha1.KeyPasts, v1alpha1.KeyObserving, KeyTokens:
		return v1alpha1.RoleAdmin
	}
	return ""
}

// whoMay is whom to ask when a cluster may not.
const whoMay = "ask in one that has Admin: hanse get clusters -o wide"

// why says why the law refuses a write, and what to do next.
func (w write) why() string {
	a, role := w.asker, least(w.prefix)
	switch {
	case w.prefix == v1alpha1.KeySealings:
		return "a member that holds the group's present key writes it, once for each key, as long as all that hold the key may read; another one confirms it"
	case role == "":
		return "nobody but the leader writes that"
	case a.person == "" && w.prefix == v1alpha1.KeyRecipientGroups:
		return "only a member of the group that holds its present key adds wraps of it, for clusters of the group, and makes another key when that is due, or strikes its own wrap, which does not open; the first key is made by one of them"
	case a.person == "":
		return "a member writes what it knows of its own cluster alone, in the form that all members read"
	case a.rights == v1alpha1.RightsOwnObjects && w.prefix == v1alpha1.KeyBundles && a.role != v1alpha1.RoleViewer:
		return fmt.Sprintf("cluster %s has the rights OwnObjects: bundles for it alone (placement.clusters: [%s], soak %s at most, no stages); %s",
			a.cluster, a.cluster, v1alpha1.MaxOwnSoak, whoMay)
	case a.rights != v1alpha1.RightsAdmin:
		return fmt.Sprintf("cluster %s has the rights %s, whoever asks through it; %s", a.cluster, a.rights, whoMay)
	case role == v1alpha1.RoleOperator && !a.operator(), role == v1alpha1.RoleAdmin && !a.admin():
		return fmt.Sprintf("%s is %s, and that takes %s; ask an admin, who may also change the role: kubectl edit users.%s %s", a.person, a.role, role, v1alpha1.GroupName, a.person)
	case a.guest && (w.prefix == v1alpha1.KeyUsers || w.prefix == KeyTokens):
		return "who is let into the fleet is for its own people to say; use a kubeconfig of hanse kubeconfig or hanse user create"
	case w.prefix == v1alpha1.KeyFleetSecrets && !a.admin() && w.declassifies():
		return "spec.notSecret names values that may stay though somebody left who could read them, and only admins add to it; ask one, or leave the names out and change the values"
	}
	return w.misformed()
}

// misformed says why nobody writes so.
func (w write) misformed() string {
	switch w.prefix {
	case v1alpha1.KeyBundles:
		return "it keeps its name and uid, and no field is there twice, in another case or of another type; use hanse apply or kubectl apply"
	case v1alpha1.KeyFleetSecrets:
		return "it keeps its name, uid and status, and no field is there twice, in another case or of another type; use hanse seal, and hanse apply or kubectl apply"
	case v1alpha1.KeyRecipientGroups:
		return "its status is for the members that hold its key; set its spec"
	case v1alpha1.KeyRollouts:
		return "people give it orders (spec.orders), let it delete what it says it would, and change nothing else; see hanse help rollout"
	case v1alpha1.KeyClusters:
		if w.before == nil {
			return "clusters join: hanse token create"
		}
		return "its status is the leader's to say; set spec.voting, and the leader follows"
	case v1alpha1.KeyObserving:
		return "it acts again after: hanse resume " + w.name
	case v1alpha1.KeyPasts:
		return "it is struck off by: hanse history KIND/NAME --forget A..B"
	}
	return "it is not in the form that all members read"
}
