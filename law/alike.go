package law

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// sealedForm is what of a revision of a secret says what is sealed in it: its first manifest has the name and the namespace of the Secret.
type sealedForm struct {
	Spec struct {
		Bundle    string                 `json:"bundle"`
		Manifests []v1alpha1.FleetSecret `json:"manifests"`
	} `json:"spec"`
}

// SealedAlike are the other revisions of a secret that have the very same bytes sealed, for the same Secret and group: what was sealed again of one is
// what is in all of them.
func SealedAlike(v *store.View, revision string) []string {
	bundle, s := sealedIn(v, revision)
	if s == nil {
		return nil
	}
	return slices.DeleteFunc(sealedAlike(v, bundle, s), func(name string) bool { return name == revision })
}

// SealedAlikeNow are the revisions of a secret that have the very same bytes sealed as the secret has now; its own may be yet to come.
func SealedAlikeNow(v *store.View, s *v1alpha1.FleetSecret) []string {
	return sealedAlike(v, s.RolledOut().String(), inRevision(s))
}

func sealedAlike(v *store.View, bundle string, s *v1alpha1.FleetSecret) (names []string) {
	for kv := range v.Iterate(v1alpha1.KeyBundleRevisions+bundle+"-", "") {
		if of, other := sealedBy(kv.Value); of == bundle && alike(s, other) {
			names = append(names, kv.Key[len(v1alpha1.KeyBundleRevisions):])
		}
	}
	return names
}

// alike says that two secrets, as revisions have them, have the very same bytes sealed for the same Secret and group.
func alike(a, b *v1alpha1.FleetSecret) bool {
	return a.Spec.Group == b.Spec.Group && a.Name == b.Name && a.Namespace == b.Namespace && bytes.Equal(a.Spec.Data, b.Spec.Data)
}

// inRevision is a secret as its revision has it, as far as that is asked.
func inRevision(s *v1alpha1.FleetSecret) *v1alpha1.FleetSecret {
	form, target := &v1alpha1.FleetSecret{Spec: s.Spec}, s.Target()
	form.Name, form.Namespace = target.Name, target.Namespace
	return form
}

// sealedIn is the secret in a revision, and what that is of; nil when it has none.
func sealedIn(v *store.View, revision string) (bundle string, s *v1alpha1.FleetSecret) {
	kv, _ := v.Get(v1alpha1.KeyBundleRevisions + revision)
	return sealedBy(kv.Value)
}

func sealedBy(revision []byte) (bundle string, s *v1alpha1.FleetSecret) {
	var r sealedForm
	if json.Unmarshal(revision, &r) != nil || !v1alpha1.RolledOutOf(r.Spec.Bundle).IsSecret() || len(r.Spec.Manifests) == 0 {
		return "", nil
	}
	return r.Spec.Bundle, &r.Spec.Manifests[0]
}

// OnlySource names a revision of those that are needed, or the secret, that nobody could open any more without what was sealed again of another revision, ""
// for none: its key is gone, and what is sealed again of it itself is not there yet, or nobody has confirmed it.
func OnlySource(v *store.View, revision string, needed func(revision string) bool) (of string) {
	told := SealingAt(v, revision)
	if !told.HasAgain() || told.Found >= oldestKey(v, told.Group) {
		return ""
	}
	bundle, sealed := sealedIn(v, revision)
	if sealed == nil {
		return ""
	}
	for _, name := range sealedAlike(v, bundle, sealed) {
		if own := SealingAt(v, name); name != revision && (own == nil || !own.Sure()) && needed(name) {
			return Thing(v1alpha1.KeyBundleRevisions + name)
		}
	}
	kv, _ := v.Get(v1alpha1.RolledOutOf(bundle).Key())
	var s v1alpha1.FleetSecret
	if json.Unmarshal(kv.Value, &s) != nil || !alike(sealed, inRevision(&s)) {
		return ""
	}
	if v.Has(v1alpha1.KeyBundleRevisions + s.RevisionName()) {
		return "" // it is one of those
	}
	return Thing(kv.Key)
}

// OnlySourceSeen are the conditions under which OnlySource says the same of a revision as of this view: who writes by its word does it under them. They are
// few, however many revisions have the same bytes.
func OnlySourceSeen(v *store.View, revision string) []store.Condition {
	seen := []store.Condition{v.AsSeen(v1alpha1.KeySealings + revision)}
	told := SealingAt(v, revision)
	if !told.HasAgain() {
		return seen // it opens no other, whatever becomes of those
	}
	bundle, _ := sealedIn(v, revision)
	if bundle == "" {
		return seen
	}
	return append(seen, v.AsSeen(v1alpha1.KeyRecipientGroups+told.Group), v.AsSeen(v1alpha1.RolledOutOf(bundle).Key()),
		store.PrefixUnchanged(v1alpha1.KeyBundleRevisions+bundle+"-", v.Revision()), store.PrefixUnchanged(v1alpha1.KeySealings+bundle+"-", v.Revision()))
}

// mayRun says which revisions of secrets some cluster may have to open: those that they are, are granted, or may be granted again.
func mayRun(v *store.View) func(revision string) bool {
	var all map[string]bool
	return func(revision string) bool {
		if all == nil {
			all = map[string]bool{}
			for _, s := range secretsInUse(v) {
				for _, name := range s.revisions() {
					all[name] = true
				}
			}
		}
		return all[revision]
	}
}

// SealingAt is what is known of how a revision is sealed; nil for nothing, for what cannot be read, and for what is left of a group that is not there.
func SealingAt(v *store.View, revision string) *v1alpha1.Sealing {
	kv, there := v.Get(v1alpha1.KeySealings + revision)
	s := &v1alpha1.Sealing{}
	if !there || json.Unmarshal(kv.Value, s) != nil {
		return nil
	}
	if !v.Has(v1alpha1.KeyRecipientGroups + s.Group) {
		return nil
	}
	return s
}

// oldestKey is the epoch of the oldest key that a group keeps; 0 when that is not known.
func oldestKey(v *store.View, group string) int64 {
	kv, _ := v.Get(v1alpha1.KeyRecipientGroups + group)
	var g v1alpha1.RecipientGroup
	if json.Unmarshal(kv.Value, &g) != nil {
		return 0
	}
	return g.OldestKey()
}
