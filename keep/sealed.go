package keep

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/secrets"
)

// sealedIn is the secret in a revision. Its manifest has the name and the namespace of the Secret.
func sealedIn(v *store.View, revision string) (s v1alpha1.FleetSecret, err error) {
	kv, _ := v.Get(v1alpha1.KeyBundleRevisions + revision)
	var r struct {
		Spec struct {
			Manifests []v1alpha1.FleetSecret `json:"manifests"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(kv.Value, &r); err != nil || len(r.Spec.Manifests) == 0 {
		return s, errors.New("it cannot be read as a secret's")
	}
	return r.Spec.Manifests[0], nil
}

func targetOf(s *v1alpha1.FleetSecret) secrets.Target {
	return secrets.Target{Namespace: s.Namespace, Name: s.Name}
}

// SealingOf is what is known of how a secret, as it is now, is sealed, and what was sealed again of it: of its revision, or, until something is sealed
// again of that, of another one with the same bytes. Nil: nobody told.
func SealingOf(v *store.View, s *v1alpha1.FleetSecret) *v1alpha1.Sealing {
	told := law.SealingAt(v, s.RevisionName())
	all := []*v1alpha1.Sealing{told}
	for _, alike := range law.SealedAlikeNow(v, s) {
		all = append(all, law.SealingAt(v, alike))
	}
	if all = surest(all...); len(all) > 0 {
		return all[0]
	}
	return told
}

// surest are those that have something that was sealed again, what was confirmed first.
func surest(all ...*v1alpha1.Sealing) []*v1alpha1.Sealing {
	all = slices.DeleteFunc(all, func(s *v1alpha1.Sealing) bool { return s == nil || s.Source() == nil })
	slices.SortStableFunc(all, func(a, b *v1alpha1.Sealing) int {
		switch {
		case a.Sure() == b.Sure():
			return 0
		case a.Sure():
			return -1
		}
		return 1
	})
	return all
}
