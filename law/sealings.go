package law

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// maxSealed is more than what is sealed may have: what that is, is no word of the law.
const maxSealed = 2 << 20

// keepsSealing says that a member that holds a group's present key writes, in its own name, how a revision of a secret is sealed: once for
// each of the group's keys; or that it opened what another one sealed again, and found what that told, or found otherwise, and then it writes that anew.
// Nothing is sealed again to a key that somebody holds who may not read: the group is to have another one first. What was found of the revision stays.
func (w write) keepsSealing() bool {
	var after v1alpha1.Sealing
	if w.op.Delete || w.asker.person != "" || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	if as, err := json.Marshal(after); err != nil || !bytes.Equal(as, w.op.Value) {
		return false // others might read it differently
	}
	if len(validation.IsDNS1123Label(after.Group)) > 0 {
		return false // no group has such a name, and it may have megabytes
	}
	g := w.groupHeld(after.Group)
	if !g.ok || after.Epoch != g.group.Status.Epoch || g.lost {
		return false
	}
	var before v1alpha1.Sealing
	if w.before == nil || json.Unmarshal(w.before, &before) != nil { // what cannot be read told nothing
		return w.sealsAgain(after, nil, 0) && after.Instead == "" && groupOf(w.view, w.name) == after.Group && after.Witness == "" && soundSince(after.Since)
	}
	if before.Group != after.Group {
		return false
	}
	switch another := w.asker.cluster != before.By || g.readers.Only(before.By); {
	case before.Epoch < after.Epoch:
		return w.sealsAgain(after, &before, g.group.OldestKey()) && after.Instead == "" && retold(before, after)
	case !before.Unseen() || !another:
		return false
	case after.By != before.By: // it takes its place
		return w.sealsAgain(after, &before, g.group.OldestKey()) && !before.Wrote(w.asker.cluster) && after.Instead == before.By && retold(before, after)
	}
	as, err := json.Marshal(before.ConfirmedBy(w.asker.cluster))
	return err == nil && bytes.Equal(as, w.op.Value)
}

// retold says that what was told of a revision stays as it was once another one has found the same, and else may be told anew.
func retold(before, after v1alpha1.Sealing) bool {
	if before.Witness == "" {
		return after.Witness == "" && soundSince(after.Since)
	}
	return after.Found == before.Found && after.Witness == before.Witness && reflect.DeepEqual(after.Since, before.Since)
}

// sealsAgain says that the asker tells what it found, and has what was sealed to another key with it, sealed again. What was confirmed stays, as does what
// others said since, as long as the group keeps the keys of that: that there is something to be sealed again nobody takes back once two have said so.
func (w write) sealsAgain(s v1alpha1.Sealing, before *v1alpha1.Sealing, oldest int64) bool {
	was, words := before.Leaves(w.asker.cluster, s.Epoch, oldest)
	return reflect.DeepEqual(s.Was, was) && reflect.DeepEqual(s.Words, words) && (was == nil || s.Again()) &&
		s.By == w.asker.cluster && s.Confirmed == "" && s.Found >= 0 && s.Found <= s.Epoch && s.Again() == (len(s.Data) > 0) && len(s.Data) <= maxSealed
}

// soundSince says that what is told of values is bounded. A group that was made again may have had later keys than it has.
func soundSince(since []map[string]int64) bool {
	return len(since) <= v1alpha1.MaxSince && !slices.ContainsFunc(since, func(by map[string]int64) bool {
		for group, epoch := range by {
			if len(group) > validation.DNS1123LabelMaxLength || epoch < 1 {
				return true
			}
		}
		return len(by) == 0 || len(by) > v1alpha1.MaxSinceGroups
	})
}

// heldGroups are the groups that a transaction writes about, by name, and all clusters that could read, each read once for all its ops: a fleet
// has hundreds of them.
type heldGroups struct {
	kept     *Kept
	groups   map[string]heldGroup
	clusters []v1alpha1.Candidate
	read, ok bool
}

// heldGroup is a group, its readers, whether the asker holds its present key, and whether somebody does who may not read.
type heldGroup struct {
	group    v1alpha1.RecipientGroup
	readers  v1alpha1.Readers
	ok, lost bool
}

func (w write) groupHeld(name string) heldGroup {
	h, known := w.held.groups[name]
	if !known {
		if group, sound := w.held.kept.group(w.view, name); sound {
			h.group = group
			h.readers, h.ok = w.held.readers(w.view, &h.group.Spec)
			h.ok = h.ok && h.group.Holds(w.asker.cluster, h.readers.Recipient(w.asker.cluster))
			h.lost = h.group.Lost(h.readers.Reads) != ""
		}
		w.held.groups[name] = h
	}
	return h
}

// candidates are all clusters; !ok: one cannot be read.
func (h *heldGroups) candidates(v *store.View) (all []v1alpha1.Candidate, ok bool) {
	if !h.read {
		h.read = true
		h.clusters, h.ok = h.kept.candidates(v)
	}
	return h.clusters, h.ok
}

// groupOf is the group that a revision is sealed for, "" when it is not there or of no secret.
func groupOf(v *store.View, revision string) string {
	kv, _ := v.Get(v1alpha1.KeyBundleRevisions + revision)
	var r v1alpha1.SealedRevision
	if json.Unmarshal(kv.Value, &r) != nil {
		return ""
	}
	return r.Group()
}

// Unseal is what is to be deleted with a revision: what is known of how it is sealed.
func Unseal(v *store.View, revision string) []store.Op {
	if !v.Has(v1alpha1.KeySealings + revision) {
		return nil
	}
	return []store.Op{store.Delete(v1alpha1.KeySealings + revision)}
}
