package keep

import (
	"encoding/json"
	"iter"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// sealedForms are the forms that secrets have, and had, in a view.
type sealedForms struct {
	view *store.View
	// revisions of secrets by their names, of the names of those of each, and known what is known of them.
	revisions map[string]*v1alpha1.SealedRevision
	of        map[string][]string
	known     map[string]*v1alpha1.Sealing
}

func newSealedForms() sealedForms {
	return sealedForms{revisions: map[string]*v1alpha1.SealedRevision{}, of: map[string][]string{}, known: map[string]*v1alpha1.Sealing{}}
}

func (f *sealedForms) add(name string, r *v1alpha1.SealedRevision) {
	f.revisions[name] = r
	f.of[r.Spec.Bundle] = append(f.of[r.Spec.Bundle], name)
}

// drop undoes add.
func (f *sealedForms) drop(name string) {
	r := f.revisions[name]
	if r == nil {
		return
	}
	delete(f.revisions, name)
	left := slices.DeleteFunc(f.of[r.Spec.Bundle], func(other string) bool { return other == name })
	if f.of[r.Spec.Bundle] = left; len(left) == 0 {
		delete(f.of, r.Spec.Bundle)
	}
}

// moved says that a secret was for another group than in this revision, or one of its name that was deleted, as far as the log has them, or was told
// that a value was sealed for another one before: what was told outlasts the revision that it was told of.
func (f *sealedForms) moved(name string) bool {
	this := f.revisions[name]
	if slices.ContainsFunc(f.of[this.Spec.Bundle], func(other string) bool { return f.revisions[other].Group() != this.Group() || f.toldOfOthers(other) }) {
		return true
	}
	for _, past := range f.pasts(this.Spec.Bundle, this.Spec.BundleUID) {
		if past.Spec.Group != this.Group() {
			return true
		}
	}
	return false
}

// toldOfOthers says that a value of a revision was told to have been sealed for another group, too.
func (f *sealedForms) toldOfOthers(name string) bool {
	known := f.known[name]
	return known != nil && slices.ContainsFunc(known.Since, func(by map[string]int64) bool {
		for group := range by {
			if group != known.Group {
				return true
			}
		}
		return false
	})
}

// pasts are what the history has of secrets of one's name that were deleted, with where the log has them.
func (f *sealedForms) pasts(bundle, uid string) iter.Seq2[string, v1alpha1.FleetSecret] {
	return func(yield func(string, v1alpha1.FleetSecret) bool) {
		secret := v1alpha1.RolledOutOf(bundle).Name
		for kv := range f.view.Iterate(v1alpha1.KeyPastSecrets+secret+".", "") {
			name, of := v1alpha1.CutPastSecretKey(kv.Key)
			past := v1alpha1.FleetSecret{}
			if name != secret || of == uid || json.Unmarshal(kv.Value, &past) != nil {
				continue
			}
			if !yield(kv.Key, past) {
				return
			}
		}
	}
}
