package law

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// soundBundle says that what is written is the bundle that its key names, and no other bundle in its place: decisions
// are taken by what the value says.
func (w write) soundBundle() bool {
	if w.op.Delete {
		return true
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

// bundles remembers the bundles of one transaction: one may be megabytes, and several rows of the law read it.
type bundles map[*byte]*v1alpha1.Bundle

// in reads a bundle; !ok is one that cannot be read.
func (r bundles) in(value []byte) (b *v1alpha1.Bundle, ok bool) {
	if len(value) == 0 {
		return nil, false
	}
	if b, known := r[&value[0]]; known {
		return b, b != nil
	}
	b = &v1alpha1.Bundle{}
	if json.Unmarshal(value, b) != nil {
		b = nil
	}
	r[&value[0]] = b
	return b, b != nil
}

// ownBundle says that a member with the right OwnObjects writes a bundle that, before and after, is for itself alone.
func (w write) ownBundle() bool {
	if w.asker.rights != v1alpha1.RightsOwnObjects || w.asker.role == v1alpha1.RoleViewer {
		return false
	}
	return (w.before == nil || w.targetsOwn(w.before)) && (w.op.Delete || w.targetsOwn(w.op.Value))
}

func (w write) targetsOwn(bundle []byte) bool {
	b, ok := w.read.in(bundle)
	return ok && b.Spec.Placement.ClusterSelector == nil && slices.Equal(b.Spec.Placement.Clusters, []string{w.asker.cluster})
}

// withBundle says that the transaction writes the very bundle, at the very generation, whose content this revision
// keeps: the law of that write decides.
func (w write) withBundle() bool {
	var r v1alpha1.BundleRevision
	if w.op.Delete || json.Unmarshal(w.op.Value, &r) != nil {
		return false
	}
	return slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		if op.Key != v1alpha1.KeyBundles+r.Spec.Bundle || op.Delete {
			return false
		}
		b, ok := w.read.in(op.Value)
		return ok && w.op.Key == v1alpha1.KeyBundleRevisions+r.Name && keeps(&r, b)
	})
}

// keeps says that a revision is what a bundle says now.
func keeps(r *v1alpha1.BundleRevision, b *v1alpha1.Bundle) bool {
	return r.Name == v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation) && r.Spec.Bundle == b.Name &&
		r.Spec.BundleUID == string(b.UID) && r.Spec.Generation == b.Generation &&
		equality.Semantic.DeepEqual(r.Spec.BundleContent, b.Spec.BundleContent)
}
