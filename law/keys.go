package law

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Bounds of a key of a group: every member reads it.
const (
	maxRecipient = 4096
	maxWrap      = 4096
)

// statusKept says that a write leaves the status as it was, or empty when the object is new. Who wrote it last may have written its
// fields in another order.
func (w write) statusKept() bool {
	if w.op.Delete {
		return true
	}
	was, ok := statusIn(w.before)
	is, sound := statusIn(w.op.Value)
	return ok && sound && reflect.DeepEqual(was, is)
}

func statusIn(value []byte) (status map[string]any, ok bool) {
	whole, ok := object(value, "status")
	if !ok || whole["status"] == nil {
		return map[string]any{}, ok
	}
	twice, err := strictjson.UnmarshalStrict(whole["status"], &status)
	return status, err == nil && len(twice) == 0
}

// keepsKeys says that a member of a group writes its keys, in its own name, and changes nothing else: it makes the first one, or another
// one in place of the present when that is due; wraps the present one for others of the group; says that the present one opens, so that
// those before it go; or that its own wrap does not.
func (w write) keepsKeys() bool {
	var before, after v1alpha1.RecipientGroup
	if w.op.Delete || w.before == nil || w.asker.person != "" || json.Unmarshal(w.before, &before) != nil {
		return false
	}
	was, ok := object(w.before, "status")
	is, sound := object(w.op.Value, "apiVersion", "kind", "metadata", "spec", "status")
	if !ok || !sound || readAlike(w.op.Value, &after, &v1alpha1.RecipientGroup{}) != nil || !w.saysOnly(after.Status) {
		return false
	}
	delete(was, "status")
	delete(is, "status")
	if !maps.EqualFunc(was, is, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		return false
	}
	r, ok := w.held.readers(w.view, &before.Spec)
	mine := r.Recipient(w.asker.cluster)
	if !ok || mine == "" {
		return false
	}
	if before.Holds(w.asker.cluster, mine) {
		return w.added(r, before.Status, after.Status) || w.seconds(before.Status, after.Status) || w.opens(r, before, after) || w.failsToOpen(r, before, after, mine) ||
			before.AnotherKey(r.Reads, w.view.Time()) != "" && w.rotates(r, before, after, before.Status.Epoch)
	}
	_, proven := before.ProvenWrap(w.asker.cluster, mine)
	strikes := before.WrapFor(w.asker.cluster, mine) != nil && w.failsToOpen(r, before, after, mine)
	return strikes || w.makesKey(before, after, mine) && w.wrapped(r, nil, after.Status) ||
		proven > 0 && before.Orphaned(r.Reads) && w.rotates(r, before, after, proven)
}

// saysOnly says that what is written has this status in the one form that members write it in. In another one, such as with a fraction of a
// second, it would not come out again as it is when the next key is made, and that is what next keys are judged by. So a version that has one
// more field in it writes that once the version of the log is raised.
func (w write) saysOnly(s v1alpha1.RecipientGroupStatus) bool {
	plain, err := json.Marshal(v1alpha1.RecipientGroup{Status: s})
	if err != nil {
		return false
	}
	told, ok := statusIn(w.op.Value)
	plainly, sound := statusIn(plain)
	return ok && sound && reflect.DeepEqual(told, plainly)
}

// makesKey says that the group had no key, and the asker makes one and keeps it for itself, at least.
func (w write) makesKey(before, after v1alpha1.RecipientGroup, mine string) bool {
	s := after.Status
	rest := v1alpha1.RecipientGroupStatus{Recipient: s.Recipient, Epoch: 1, Begun: s.Begun, By: w.asker.cluster, Rotated: before.Spec.Rotate, Wraps: s.Wraps}
	return reflect.DeepEqual(before.Status, v1alpha1.RecipientGroupStatus{}) && reflect.DeepEqual(s, rest) && w.soundKey(s) && after.Holds(w.asker.cluster, mine)
}

// soundKey says that a new key has a public part, and is of about now.
func (w write) soundKey(s v1alpha1.RecipientGroupStatus) bool {
	return s.Recipient != "" && len(s.Recipient) <= maxRecipient && s.Begun != nil && s.Begun.Sub(w.view.Time()).Abs() <= MaxKeySkew
}

// MaxKeySkew is how far from the log's own time a key may say that it was made: its age is counted from there.
const MaxKeySkew = 10 * time.Minute

// added says that the key stays, and that the asker wraps it for others of the group: for each something that may open, and for none that said a while
// ago that what the asker wrote does not.
func (w write) added(r v1alpha1.Readers, before, after v1alpha1.RecipientGroupStatus) bool {
	rest := after
	rest.Wraps = before.Wraps
	if !reflect.DeepEqual(rest, before) || len(after.Wraps) <= len(before.Wraps) || !w.wrapped(r, before.Wraps, after) {
		return false
	}
	return !slices.ContainsFunc(after.Wraps[len(before.Wraps):], func(wrap v1alpha1.KeyWrap) bool {
		return !wrap.Opens() || before.Unopened(wrap.Cluster, wrap.Key).Bars(w.asker.cluster, w.view.Time())
	})
}

// seconds says that the asker wraps the key once more for some recovery recipients for whom another cluster's member did, and changes nothing else.
func (w write) seconds(before, after v1alpha1.RecipientGroupStatus) bool {
	return reflect.DeepEqual(after, w.seconded(before, after)) && !reflect.DeepEqual(after, before)
}

// seconded is a status as it was, with those wraps of the present key once more that the asker may write so.
func (w write) seconded(before, after v1alpha1.RecipientGroupStatus) v1alpha1.RecipientGroupStatus {
	before.Wraps = slices.Clone(before.Wraps)
	for i := range before.Wraps {
		one := &before.Wraps[i]
		if !one.WantsSecond() || one.Epoch != before.Epoch || one.By == w.asker.cluster {
			continue
		}
		for _, now := range after.Wraps {
			if now.Cluster == "" && now.Key == one.Key && now.Epoch == one.Epoch && now.Second != nil && now.Second.By == w.asker.cluster && soundWrap(now.Second.Wrap) {
				one.Second = now.Second
			}
		}
	}
	return before
}

func soundWrap(wrap []byte) bool { return len(wrap) > 0 && len(wrap) <= maxWrap }

// wrapped says that the wraps are those that were there, and behind them new ones of the present key by the asker: one for each of some readers.
func (w write) wrapped(r v1alpha1.Readers, before []v1alpha1.KeyWrap, after v1alpha1.RecipientGroupStatus) bool {
	if len(after.Wraps) < len(before) || !slices.EqualFunc(before, after.Wraps[:len(before)], sameWrap) {
		return false
	}
	seen := map[string]bool{}
	for _, wrap := range before {
		if wrap.Epoch == after.Epoch {
			seen[wrap.Cluster+"/"+wrap.Key] = true
		}
	}
	for _, wrap := range after.Wraps[len(before):] {
		id := wrap.Cluster + "/" + wrap.Key
		if seen[id] || !r.Reads(wrap.Cluster, wrap.Key) || wrap.Epoch != after.Epoch || !soundWrap(wrap.Wrap) {
			return false
		}
		if wrap.Cluster == "" && !wrap.Opens() { // of a recovery recipient nobody tells that it opens nothing, and it is never wrapped for again
			return false
		}
		if wrap.Second != nil || wrap.By != w.asker.cluster {
			return false
		}
		seen[id] = true
	}
	return true
}

func sameWrap(a, b v1alpha1.KeyWrap) bool { return reflect.DeepEqual(a, b) }

// rotates says that the asker makes another key, and passes on the one of an epoch, so that nobody has it who may not read, and nobody lacks
// it who had that one and may.
func (w write) rotates(r v1alpha1.Readers, before, after v1alpha1.RecipientGroup, from int64) bool {
	s := after.Status
	if !w.soundKey(s) || len(s.Former) == 0 || s.Recipient == before.Status.Recipient {
		return false
	}
	made := NewKey{By: w.asker.cluster, Recipient: s.Recipient, Begun: *s.Begun, From: from, Former: s.Former[len(s.Former)-1].Key}
	if len(made.Former) == 0 || len(made.Former) > maxWrap {
		return false
	}
	next := Rotated(&before, r.Reads, made)
	if kept := len(next.Wraps); kept <= len(s.Wraps) {
		made.Wraps = s.Wraps[kept:]
	}
	if !w.wrapped(r, next.Wraps, s) || !reflect.DeepEqual(s, Rotated(&before, r.Reads, made)) {
		return false
	}
	for _, wrap := range before.Status.Wraps {
		has := func(now v1alpha1.KeyWrap) bool { return now.Cluster == wrap.Cluster && now.Key == wrap.Key }
		if r.Reads(wrap.Cluster, wrap.Key) && !slices.ContainsFunc(made.Wraps, has) {
			return false
		}
	}
	return true
}

// NewKey is what the maker of a group's next key knows.
type NewKey struct {
	By        string // its cluster
	Recipient string
	Begun     metav1.Time
	// From is the epoch of the key that it takes the place of: the present one, or the latest that was proven. Former is that key, for the new
	// recipient; Wraps the new one, for who may read.
	From   int64
	Former []byte
	Wraps  []v1alpha1.KeyWrap
}

// Rotated is the status of a group with another key. The wraps of a key that a second cluster has opened stay until one has opened the new
// one, but only for those who may read.
func Rotated(g *v1alpha1.RecipientGroup, reads func(cluster, key string) bool, to NewKey) v1alpha1.RecipientGroupStatus {
	was := &g.Status
	next := v1alpha1.RecipientGroupStatus{Recipient: to.Recipient, Epoch: was.Epoch + 1, Begun: &to.Begun, By: to.By, Rotated: g.Spec.Rotate, Left: slices.Clone(was.Left)}
	last := v1alpha1.FormerKey{Epoch: was.Epoch, Recipient: was.Recipient, Begun: was.Begun}
	for _, f := range was.Former {
		if f.Epoch < to.From {
			next.Former = append(next.Former, f)
		} else if f.Epoch == to.From {
			last = f
		}
	}
	last.Key = to.Former
	next.Former = append(next.Former, last)
	next.Former = next.Former[max(0, len(next.Former)-v1alpha1.MaxFormerKeys):]
	proven := !was.Unproven()
	for _, wrap := range was.Wraps {
		switch {
		case !reads(wrap.Cluster, wrap.Key):
			next.Left = leaves(next.Left, formerReader(wrap, to.Begun))
		case proven || wrap.Epoch < was.Epoch:
			next.Wraps = append(next.Wraps, wrap)
		}
	}
	next.Wraps = append(next.Wraps, to.Wraps...)
	return next
}

// formerReader is who held a wrap until a time.
func formerReader(w v1alpha1.KeyWrap, until metav1.Time) v1alpha1.FormerReader {
	return v1alpha1.FormerReader{Cluster: w.Cluster, Key: w.Key, Epoch: w.Epoch, Until: until}
}

// leaves adds one that held a key to those that may read it no more.
func leaves(left []v1alpha1.FormerReader, one v1alpha1.FormerReader) []v1alpha1.FormerReader {
	i := slices.IndexFunc(left, func(l v1alpha1.FormerReader) bool { return l.Cluster == one.Cluster && l.Key == one.Key })
	if i < 0 {
		return shortened(append(left, one))
	}
	one.Epoch = max(one.Epoch, left[i].Epoch)
	left[i] = one
	return left
}

// shortened leaves of too many that left those who did last by their names; the one without a name, the first, stands for the others: it had
// the latest key that any of them had.
func shortened(left []v1alpha1.FormerReader) []v1alpha1.FormerReader {
	if len(left) <= v1alpha1.MaxFormerReaders {
		return left
	}
	others := left[0]
	others.Cluster, others.Key, others.By = "", "", ""
	others.Epoch = max(others.Epoch, left[1].Epoch)
	if others.Until.Before(&left[1].Until) {
		others.Until = left[1].Until
	}
	return append([]v1alpha1.FormerReader{others}, left[2:]...)
}

// opens says that somebody else than the maker of the present key has opened it, or the maker when nobody else holds it: what is left of
// the key before goes. It may wrap the key once more for who recovers it, so that nobody loses the one before for a wrap that its maker lied about.
func (w write) opens(r v1alpha1.Readers, before, after v1alpha1.RecipientGroup) bool {
	return before.Status.Unproven() && reflect.DeepEqual(after.Status, Proven(w.seconded(before.Status, after.Status))) && w.another(r, &before)
}

// Proven is the status of a group whose present key somebody has opened.
func Proven(s v1alpha1.RecipientGroupStatus) v1alpha1.RecipientGroupStatus {
	s.Wraps = slices.DeleteFunc(slices.Clone(s.Wraps), func(w v1alpha1.KeyWrap) bool { return w.Epoch < s.Epoch })
	return s
}

// another says that the asker may say that the present key opens: it is another one than its maker, or no other one holds it, or the key before.
func (w write) another(r v1alpha1.Readers, g *v1alpha1.RecipientGroup) bool {
	return w.asker.cluster != g.Status.By || len(r.HadBeside(g, g.Status.By)) == 0
}

// failsToOpen says that the asker strikes its own wrap, and only if another one that may read holds the key: it is wrapped anew for it.
func (w write) failsToOpen(r v1alpha1.Readers, before, after v1alpha1.RecipientGroup, mine string) bool {
	s := before.Status
	if len(after.Status.Left) == 0 {
		return false
	}
	at := after.Status.Left[max(0, slices.IndexFunc(after.Status.Left, func(l v1alpha1.FormerReader) bool {
		return l.Cluster == w.asker.cluster && l.Key == v1alpha1.KeyID(mine)
	}))].Until
	others := false
	for o := range s.Held() {
		others = others || o.Cluster != "" && o.Cluster != w.asker.cluster && r.Reads(o.Cluster, o.Key)
	}
	return others && at.Sub(w.view.Time()).Abs() <= MaxKeySkew && reflect.DeepEqual(after.Status, Unopened(s, w.asker.cluster, mine, at))
}

// Unopened is the status of a group without the wrap of its present key that a cluster cannot open.
func Unopened(s v1alpha1.RecipientGroupStatus, cluster, recipient string, at metav1.Time) v1alpha1.RecipientGroupStatus {
	s.Left = slices.Clone(s.Left)
	s.Wraps = slices.DeleteFunc(slices.Clone(s.Wraps), func(w v1alpha1.KeyWrap) bool {
		own := w.Epoch == s.Epoch && w.Cluster == cluster && w.Key == v1alpha1.KeyID(recipient)
		if own {
			one := formerReader(w, at)
			if w.Opens() { // NoWrap says itself that it does not: who wrote that has not lied
				one.By = w.By
			}
			s.Left = leaves(s.Left, one)
		}
		return own
	})
	return s
}

// readers of a group, as its spec, the fleet's and the clusters say.
func (h *heldGroups) readers(v *store.View, s *v1alpha1.RecipientGroupSpec) (r v1alpha1.Readers, ok bool) {
	fleet, ok := fleetAfter(v, Change{})
	if !ok {
		return r, false
	}
	clusters, ok := h.candidates(v)
	r, err := s.Readers(&fleet, clusters)
	return r, ok && err == nil
}

// fleetAfter is what the fleet's settings say after a change of them, if it is one.
func fleetAfter(v *store.View, c Change) (spec v1alpha1.FleetSpec, ok bool) {
	for kv := range v.Iterate(v1alpha1.KeyFleets, "") {
		if kv.Key == c.Key {
			kv.Value = c.After
		}
		var f v1alpha1.Fleet
		if len(kv.Value) > 0 && json.Unmarshal(kv.Value, &f) != nil {
			return spec, false
		}
		spec = f.Spec
	}
	return spec, true
}
