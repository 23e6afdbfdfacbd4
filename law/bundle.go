package law

import (
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// bundle is a Bundle as the law reads it: what it judges by, and the content as it was written. A field of a later
// version stays in the content, whoever copies it.
type bundle struct {
	*v1alpha1.Bundle
	// metadata, placement, rollout and content are the JSON of the metadata's and of the spec's fields.
	metadata           map[string]json.RawMessage
	placement, rollout json.RawMessage
	content            map[string]json.RawMessage
}

// bundles remembers the bundles of one transaction: one may be megabytes, and several rows of the law read it.
type bundles map[*byte]*bundle

// in reads a bundle; !ok is one that cannot be read, or that two readers could read differently.
func (r bundles) in(value []byte) (b *bundle, ok bool) {
	if len(value) == 0 {
		return nil, false
	}
	if b, known := r[&value[0]]; known {
		return b, b != nil
	}
	b, ok = readBundle(value)
	if !ok {
		b = nil
	}
	r[&value[0]] = b
	return b, ok
}

// rolled reads what is rolled out: a bundle, or a secret as one.
func (r bundles) rolled(key string, value []byte) (b *bundle, ok bool) {
	switch prefix, _ := splitKey(key); prefix {
	case v1alpha1.KeyBundles:
		return r.in(value)
	case v1alpha1.KeyFleetSecrets:
		return sealed(value)
	}
	return nil, false
}

func readBundle(value []byte) (*bundle, bool) {
	b := &bundle{Bundle: &v1alpha1.Bundle{}}
	if json.Unmarshal(value, b.Bundle) != nil {
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
	b.metadata = metadata
	// What a revision says of its bundle stands beside the content there, so no content has these names.
	b.content, ok = object(whole["spec"], "placement", "rollout", "bundle", "bundleUID", "generation")
	for _, taken := range []string{"bundle", "bundleUID", "generation"} {
		ok = ok && b.content[taken] == nil
	}
	b.placement, b.rollout = b.content["placement"], b.content["rollout"]
	delete(b.content, "placement")
	delete(b.content, "rollout")
	return b, ok
}

// object reads a JSON object, nil for none, that every reader reads alike: no key is there twice, no two differ in case
// only, and none differs from the known ones in case only.
func object(value json.RawMessage, known ...string) (map[string]json.RawMessage, bool) {
	fields := map[string]json.RawMessage{}
	if value == nil {
		return fields, true
	}
	twice, err := strictjson.UnmarshalStrict(value, &fields)
	if err != nil || len(twice) > 0 || fields == nil {
		return nil, false
	}
	names := make([]string, 0, len(fields)+len(known))
	for name := range fields {
		names = append(names, name)
	}
	for i, name := range append(names, known...) {
		for _, other := range names[:min(i, len(names))] {
			if other != name && strings.EqualFold(other, name) {
				return nil, false
			}
		}
	}
	return fields, true
}

// soundBundle says that what is written is the bundle that its key names, and no other bundle in its place: decisions
// are taken by what the value says.
func (w write) soundBundle() bool {
	if w.op.Delete {
		return true
	}
	if v1alpha1.RolledOutOf(w.name).IsSecret() {
		return false // it would speak for that secret
	}
	b, ok := w.read.in(w.op.Value)
	if !ok || b.Name != w.name || b.Kind != "Bundle" || b.APIVersion != v1alpha1.SchemeGroupVersion.String() || b.UID == "" {
		return false
	}
	if w.before == nil {
		return true
	}
	old, ok := w.read.in(w.before)
	return ok && b.UID == old.UID && b.Generation >= old.Generation
}

// ownBundle says that a member with the right OwnObjects writes a bundle that, before and after, is for itself alone.
func (w write) ownBundle() bool {
	if w.asker.rights != v1alpha1.RightsOwnObjects || w.asker.role == v1alpha1.RoleViewer {
		return false
	}
	return (w.before == nil || w.targetsOwn(w.before)) && (w.op.Delete || w.targetsOwn(w.op.Value) && w.soonOver())
}

// soonOver says that the rollout of a member's own bundle does not keep its fault domain, and so the fleet, for long. Of one cluster there are
// no stages, and what has begun waits for no window and no gate.
func (w write) soonOver() bool {
	b, ok := w.read.in(w.op.Value)
	if !ok || b.Spec.Rollout == nil {
		return ok
	}
	within := func(d *metav1.Duration, least, most time.Duration) bool {
		return d == nil || d.Duration >= least && d.Duration <= most
	}
	return len(b.Spec.Rollout.Stages)+len(b.Spec.Rollout.Windows)+len(b.Spec.Rollout.Gates) == 0 && within(b.Spec.Rollout.Soak, 0, v1alpha1.MaxOwnSoak) && within(b.Spec.Rollout.ProgressDeadline, v1alpha1.MinDeadline, v1alpha1.MaxOwnDeadline)
}

// targetsOwn says that a bundle's placement names the member's own cluster, and says nothing else: a field of a later
// version might place it elsewhere.
func (w write) targetsOwn(value []byte) bool {
	b, ok := w.read.in(value)
	if !ok {
		return false
	}
	placement, ok := object(b.placement, "clusters")
	var clusters []string
	return ok && len(placement) == 1 && json.Unmarshal(placement["clusters"], &clusters) == nil &&
		len(clusters) == 1 && clusters[0] == w.asker.cluster
}
