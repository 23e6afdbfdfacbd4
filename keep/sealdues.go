package keep

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

// sealDues are the revisions of secrets about which somebody who holds the key of their group has something to do. A look at them goes over what changed
// since the last one: when a thousand are sealed again, every member of the group looks a hundred times. They are used from one goroutine.
type sealDues struct {
	sealedForms
	// at and epoch are the revision and the epoch of the log that they are of; 0: nothing was read.
	at    store.Revision
	epoch store.Epoch
	// keys are the epochs of the groups' keys that they are due by, as far as somebody asked.
	keys map[string]int64
	// due are the revisions about which something is, by group, and placed is where each of them stands there.
	due    map[string]map[plan.SealDue]map[string]bool
	placed map[string]placedDue
	// garbled are the keys of revisions that cannot be decoded, and why.
	garbled map[string]error
}

type placedDue struct {
	group string
	plan.SealDue
}

// about is what is due about a group's revisions: what is to be sealed again first.
func (d *sealDues) about(group string) iter.Seq2[plan.SealDue, map[string]bool] {
	return func(yield func(plan.SealDue, map[string]bool) bool) {
		all := d.due[group]
		for _, due := range slices.SortedFunc(maps.Keys(all), func(a, b plan.SealDue) int {
			return cmp.Or(cmp.Compare(a.Work, b.Work), cmp.Compare(a.By, b.By))
		}) {
			if !yield(due, all[due]) {
				return
			}
		}
	}
}

// bring brings them up to a view, and to the key that a group has there.
func (d *sealDues) bring(v *store.View, from decoded.Kinds, g decoded.Object[v1alpha1.RecipientGroup]) {
	revisions, garbled := from.Revisions.Readable(v)
	sealings, _ := from.Sealings.Readable(v)
	d.garbled = garbled
	secrets, known := d.changed(v, revisions, sealings)
	if !known {
		secrets = d.whole(revisions, sealings)
	}
	d.view, d.at, d.epoch = v, v.Revision(), v.Epoch()
	if group := g.Value.Name; d.keys[group] != g.Value.Status.Epoch {
		d.keys[group] = g.Value.Status.Epoch
		for _, r := range d.revisions {
			if r.Group() == group {
				secrets[r.Spec.Bundle] = true
			}
		}
	}
	for secret := range secrets {
		for _, name := range d.of[secret] {
			d.place(name)
		}
	}
	d.view = nil // or it keeps a whole state, of whatever age, in memory
}

// whole takes over all, and names the secrets.
func (d *sealDues) whole(revisions []decoded.Object[v1alpha1.SealedRevision], sealings []decoded.Object[v1alpha1.Sealing]) (secrets map[string]bool) {
	*d = sealDues{sealedForms: newSealedForms(), keys: map[string]int64{}, due: map[string]map[plan.SealDue]map[string]bool{}, placed: map[string]placedDue{}, garbled: d.garbled}
	secrets = map[string]bool{}
	for _, r := range revisions {
		d.add(strings.TrimPrefix(r.Key, v1alpha1.KeyBundleRevisions), r.Value)
		secrets[r.Value.Spec.Bundle] = true
	}
	for _, s := range sealings {
		d.known[strings.TrimPrefix(s.Key, v1alpha1.KeySealings)] = s.Value
	}
	return secrets
}

// changed takes over what changed since the view that they are of, and names the secrets of which something did; !known: it is too long ago to be known.
func (d *sealDues) changed(v *store.View, revisions []decoded.Object[v1alpha1.SealedRevision], sealings []decoded.Object[v1alpha1.Sealing]) (secrets map[string]bool, known bool) {
	if d.at == 0 || d.epoch != v.Epoch() || v.Revision() < d.at {
		return nil, false
	}
	all, known := v.Changed("/", d.at)
	if !known {
		return nil, false
	}
	secrets = map[string]bool{}
	for key := range all {
		switch {
		case strings.HasPrefix(key, decoded.SealedRevisions):
			name := strings.TrimPrefix(key, v1alpha1.KeyBundleRevisions)
			if r := d.revisions[name]; r != nil {
				secrets[r.Spec.Bundle] = true
				d.unplace(name)
				d.drop(name)
			}
			if r := decoded.At(revisions, key); r != nil {
				secrets[r.Spec.Bundle] = true
				d.add(name, r)
			}
		case strings.HasPrefix(key, v1alpha1.KeySealings):
			name := strings.TrimPrefix(key, v1alpha1.KeySealings)
			if d.known[name] = decoded.At(sealings, key); d.known[name] == nil {
				delete(d.known, name)
			}
			if r := d.revisions[name]; r != nil {
				secrets[r.Spec.Bundle] = true
			}
		case strings.HasPrefix(key, v1alpha1.KeyPastSecrets):
			name, _ := v1alpha1.CutPastSecretKey(key)
			secrets[v1alpha1.RolledOut{Kind: "FleetSecret", Name: name}.String()] = true
		}
	}
	return secrets, true
}

// place says anew what is due about a revision.
func (d *sealDues) place(name string) {
	d.unplace(name)
	at := placedDue{group: d.revisions[name].Group()}
	epoch, known := d.keys[at.group], d.known[name]
	if at.SealDue = plan.SealDueOf(epoch, known, known != nil || epoch == 1 && d.moved(name)); at.SealDue == (plan.SealDue{}) {
		return
	}
	d.placed[name] = at
	if d.due[at.group] == nil {
		d.due[at.group] = map[plan.SealDue]map[string]bool{}
	}
	if d.due[at.group][at.SealDue] == nil {
		d.due[at.group][at.SealDue] = map[string]bool{}
	}
	d.due[at.group][at.SealDue][name] = true
}

func (d *sealDues) unplace(name string) {
	at, is := d.placed[name]
	if !is {
		return
	}
	delete(d.placed, name)
	if names := d.due[at.group][at.SealDue]; len(names) > 1 {
		delete(names, name)
	} else {
		delete(d.due[at.group], at.SealDue)
	}
}
