package plan

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Claims are the objects that a bundle brings into each of its clusters, as sorted digests, one an object, for whoever keeps those of
// thousands of bundles. Two bundles with one digest may bring one object; whether they do is for Shared to say. No override changes
// which objects there are.
type Claims []uint64

// ClaimsOf digests objects.
func ClaimsOf(objects []v1alpha1.ObjectRef) Claims {
	claims := make(Claims, len(objects))
	for i, ref := range objects {
		id, digest := Identify(ref), fnv.New64a()
		for _, part := range []string{id.Group, id.Kind, id.namespace, id.name} {
			digest.Write([]byte(part))
			digest.Write([]byte{0})
		}
		claims[i] = digest.Sum64()
	}
	slices.Sort(claims)
	return slices.Compact(claims)
}

// Shared is the first of some objects that is among others, too.
func Shared(objects, others []v1alpha1.ObjectRef) (v1alpha1.ObjectRef, bool) {
	there := make(map[Identity]bool, len(others))
	for _, ref := range others {
		there[Identify(ref)] = true
	}
	i := slices.IndexFunc(objects, func(ref v1alpha1.ObjectRef) bool { return there[Identify(ref)] })
	if i < 0 {
		return v1alpha1.ObjectRef{}, false
	}
	return objects[i], true
}

// Contested says that a bundle and its rival would both bring an object into clusters.
func Contested(bundle, rival string, object v1alpha1.ObjectRef, clusters []string) string {
	return fmt.Sprintf("%s and %s would both bring %s into %s; take it out of one of the two, or place them in different clusters",
		v1alpha1.RolledOutOf(bundle).Title(), v1alpha1.RolledOutOf(rival).Title(), Name(object), fewNames(clusters))
}
