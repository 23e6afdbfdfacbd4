package decoded

import (
	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Kinds are those that several of a member's loops read.
type Kinds struct {
	Bundles  *Rolled
	Groups   *Objects[v1alpha1.RecipientGroup]
	Clusters *Objects[v1alpha1.Cluster]
	Grants   *Objects[v1alpha1.Grant]
	Rollouts *Objects[v1alpha1.Rollout]
	Fleets   *Objects[v1alpha1.Fleet]
	// Revisions are those of secrets, and Sealings what is known of how they are sealed.
	Revisions *Objects[v1alpha1.SealedRevision]
	Sealings  *Objects[v1alpha1.Sealing]
}

// SealedRevisions begins the keys of the revisions of secrets.
var SealedRevisions = v1alpha1.KeyBundleRevisions + v1alpha1.RolledOut{Kind: "FleetSecret"}.String()

// NewKinds has read nothing yet.
func NewKinds() Kinds {
	groups := New[v1alpha1.RecipientGroup](v1alpha1.KeyRecipientGroups)
	return Kinds{
		Bundles:  newRolled(groups),
		Groups:   groups,
		Clusters: New[v1alpha1.Cluster](v1alpha1.KeyClusters),
		Grants:   New[v1alpha1.Grant](v1alpha1.KeyGrants),
		Rollouts: New[v1alpha1.Rollout](v1alpha1.KeyRollouts),
		Fleets:   New[v1alpha1.Fleet](v1alpha1.KeyFleets),

		Revisions: New[v1alpha1.SealedRevision](SealedRevisions),
		Sealings:  New[v1alpha1.Sealing](v1alpha1.KeySealings),
	}
}
