package law

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// keepsKeys says that a member of a group writes its keys, in its own name, and changes nothing else: it makes the first one, or wraps
// the present one for others of the group, and takes nothing away.
func (w write) keepsKeys() bool {
	var before, after v1alpha1.RecipientGroup
	if w.op.Delete || w.before == nil || w.asker.person != "" || json.Unmarshal(w.before, &before) != nil {
		return false
	}
	was, ok := object(w.before, "status")
	is, sound := object(w.op.Value, "apiVersion", "kind", "metadata", "spec", "status")
	if !ok || !sound || readAlike(w.op.Value, &after, &v1alpha1.RecipientGroup{}) != nil {
		return false
	}
	delete(was, "status")
	delete(is, "status")
	if !maps.EqualFunc(was, is, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		return false
	}
	r, ok := w.readers(before.Spec)
	mine := r[w.asker.cluster]
	if !ok || len(mine) == 0 {
		return false
	}
	return w.makesKey(before, after, mine[0]) && r.wrapped(nil, after.Status) ||
		before.Holds(w.asker.cluster, mine[0]) && r.added(before.Status, after.Status)
}

// readers are who may have the key of a group: the recipient of each cluster that its selector picks and that has one, and under no
// cluster's name those of its recovery.
type readers map[string][]string

// makesKey says that the group had no key, and the asker makes one and keeps it for itself, at least.
func (w write) makesKey(before, after v1alpha1.RecipientGroup, mine string) bool {
	recipient := after.Status.Recipient
	return before.Status.Epoch == 0 && len(before.Status.Wraps) == 0 && after.Status.Epoch == 1 &&
		recipient != "" && len(recipient) <= maxRecipient && after.Holds(w.asker.cluster, mine)
}

// added says that the key stays, and that it is wrapped for others of the group.
func (r readers) added(before, after v1alpha1.RecipientGroupStatus) bool {
	return before.Epoch == after.Epoch && before.Recipient == after.Recipient && len(after.Wraps) > len(before.Wraps) && r.wrapped(before.Wraps, after)
}

// wrapped says that the wraps are those that were there, and behind them new ones of the present key: one for each of some readers.
func (r readers) wrapped(before []v1alpha1.KeyWrap, after v1alpha1.RecipientGroupStatus) bool {
	if len(after.Wraps) < len(before) || !slices.EqualFunc(before, after.Wraps[:len(before)], sameWrap) {
		return false
	}
	seen := map[string]bool{}
	for _, wrap := range before {
		seen[wrap.Cluster+"/"+wrap.Key] = true
	}
	for _, wrap := range after.Wraps[len(before):] {
		id := wrap.Cluster + "/" + wrap.Key
		if seen[id] || !slices.ContainsFunc(r[wrap.Cluster], func(to string) bool { return wrap.Key == v1alpha1.KeyID(to) }) ||
			wrap.Epoch != after.Epoch || len(wrap.Wrap) == 0 || len(wrap.Wrap) > maxWrap {
			return false
		}
		seen[id] = true
	}
	return true
}

func sameWrap(a, b v1alpha1.KeyWrap) bool {
	return a.Cluster == b.Cluster && a.Key == b.Key && a.Epoch == b.Epoch && bytes.Equal(a.Wrap, b.Wrap)
}

// readers of a group, as its spec and the clusters say.
func (w write) readers(s v1alpha1.RecipientGroupSpec) (r readers, ok bool) {
	selector, err := metav1.LabelSelectorAsSelector(s.ClusterSelector)
	if err != nil {
		return nil, false
	}
	r = readers{"": s.RecoveryRecipients}
	for _, kv := range w.view.List(v1alpha1.KeyClusters) {
		var c v1alpha1.Cluster
		if json.Unmarshal(kv.Value, &c) != nil {
			return nil, false
		}
		if selector.Matches(labels.Set(c.Labels)) && c.Status.Recipient != "" {
			r[strings.TrimPrefix(kv.Key, v1alpha1.KeyClusters)] = []string{c.Status.Recipient}
		}
	}
	return r, true
}

// sealed is a FleetSecret as it is rolled out: a bundle of one manifest, the secret itself as it was written, under the name of the
// Secret that it becomes, so that whoever looks for who brings an object finds it.
func sealed(value []byte) (*bundle, bool) {
	var s v1alpha1.FleetSecret
	if len(value) == 0 || json.Unmarshal(value, &s) != nil {
		return nil, false
	}
	whole, ok := object(value, "apiVersion", "kind", "metadata", "spec", "status")
	if !ok {
		return nil, false
	}
	metadata, ok := object(whole["metadata"], "name", "uid", "generation", "creationTimestamp")
	if !ok {
		return nil, false
	}
	target := s.Target()
	manifest, err := json.Marshal([]any{map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "FleetSecret", "spec": whole["spec"],
		"metadata": map[string]string{"namespace": target.Namespace, "name": target.Name},
	}})
	if err != nil {
		return nil, false
	}
	text := func(s string) json.RawMessage { return json.RawMessage(`"` + s + `"`) }
	return &bundle{
		Bundle: s.AsBundle(nil), metadata: metadata,
		content: map[string]json.RawMessage{
			"drift": text(string(v1alpha1.DriftCorrect)), "deletion": text(string(v1alpha1.DeletionPrune)), "adopt": text(string(v1alpha1.AdoptNever)), "manifests": manifest,
		},
	}, true
}

// soundSecret says that what is written is the secret that its key names, and no other in its place.
func (w write) soundSecret() bool {
	if w.op.Delete {
		return true
	}
	s, ok := sealed(w.op.Value)
	if !ok || s.UID == "" || s.Name != v1alpha1.SecretBundle(w.name) {
		return false
	}
	if w.before == nil {
		return true
	}
	old, ok := sealed(w.before)
	return ok && s.UID == old.UID && s.Generation >= old.Generation
}

// unsealed refuses that a group goes for which something is sealed: nobody could open it any more.
func unsealed(v *store.View, group string) ([]store.Condition, []store.Op, error) {
	for kv := range v.Iterate(v1alpha1.KeyFleetSecrets, "") {
		var s v1alpha1.FleetSecret
		if json.Unmarshal(kv.Value, &s) == nil && s.Spec.Group == group {
			return nil, nil, &store.Forbidden{Reason: fmt.Sprintf("%s is sealed for it, and nobody could open it any more; delete that first, or seal it for another group: hanse seal", Thing(kv.Key))}
		}
	}
	return []store.Condition{store.PrefixUnchanged(v1alpha1.KeyFleetSecrets, v.Revision())}, nil, nil
}
