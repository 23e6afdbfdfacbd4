package epoch

import (
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Shut is a group for which the first member of a new epoch can open nothing.
type Shut struct {
	Group string
	// Secrets are sealed for it.
	Secrets []string
	// By are the clusters whose members could, with the keys that they had in the epoch before.
	By []string
	// Own says that the first member's cluster had a key that could, and that its member does not bring.
	Own bool
	// Recovery says that a recovery recipient can.
	Recovery bool
}

// Lost says that nobody could open it any more.
func (s Shut) Lost() bool { return len(s.By) == 0 && !s.Recovery }

// Shut are the groups for which the heir can open nothing, of those that somebody could open until now.
func (s Succession) Shut(v *store.View) (all []Shut) {
	heir := law.Opener{Cluster: s.Heir.Cluster, Key: v1alpha1.KeyID(s.Recipient)}
	for _, sealed := range law.SealedGroups(v) {
		if len(sealed.Openers) == 0 || !s.Renamed && slices.Contains(sealed.Openers, heir) {
			continue
		}
		shut := Shut{Group: sealed.Group, Secrets: sealed.Secrets}
		for _, o := range sealed.Openers {
			switch {
			case o.Cluster == "":
				shut.Recovery = true
			case s.Renamed || slices.Contains(s.Lost, o.Cluster):
			case o.Cluster == s.Heir.Cluster:
				shut.Own = true
			default:
				shut.By = append(shut.By, o.Cluster)
			}
		}
		slices.Sort(shut.By)
		all = append(all, shut)
	}
	return all
}
