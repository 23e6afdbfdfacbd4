package keep

import (
	"encoding/json"
	"errors"

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

// SealingsOf is what is known of how a secret, as it is now, is sealed, and what was sealed again of it: of its revision, and of others with the same
// bytes. Empty: nobody told.
func SealingsOf(v *store.View, s *v1alpha1.FleetSecret) (all []*v1alpha1.Sealing) {
	own := s.RevisionName()
	for _, name := range append([]string{own}, law.SealedAlikeNow(v, s)...) {
		told := law.SealingAt(v, name)
		if told != nil && (name != own || len(all) == 0) {
			all = append(all, told)
		}
	}
	return all
}

// Differing are, of what was sealed again for a target, the first that opens with the keys that are there, and those that open, too, and hold something else.
// Empty: nothing opens.
func Differing(t secrets.Target, all []v1alpha1.SealedAgain, key func(epoch int64) (is secrets.Identity, there bool)) (differ []v1alpha1.SealedAgain) {
	var with []v1alpha1.SealedAgain
	var sealed []secrets.Sealed
	for _, one := range all {
		if is, there := key(one.Epoch); there {
			with, sealed = append(with, one), append(sealed, secrets.Sealed{Key: is, Data: one.Data})
		}
	}
	first, others := secrets.Differing(t, sealed)
	if first < 0 {
		return nil
	}
	differ = append(differ, with[first])
	for _, i := range others {
		differ = append(differ, with[i])
	}
	return differ
}
