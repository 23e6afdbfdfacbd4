package decoded

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Standing are the grants of clusters that are there; nobody changes what is returned. Those of others grant nothing, whether they can be read or not: they are
// left until the leader has cleared them away (law.Leavings).
func (k Kinds) Standing(v *store.View) ([]Object[v1alpha1.Grant], error) {
	all, garbled := k.Grants.Readable(v)
	for _, key := range slices.Sorted(maps.Keys(garbled)) {
		if law.Standing(v, key) {
			return nil, garbled[key]
		}
	}
	there, left := map[string]bool{}, false
	for cluster, its := range ByCluster(all) {
		there[cluster] = law.Standing(v, its[0].Key)
		left = left || !there[cluster]
	}
	if !left {
		return all, nil
	}
	var standing []Object[v1alpha1.Grant]
	for cluster, its := range ByCluster(all) {
		if there[cluster] {
			standing = append(standing, its...)
		}
	}
	return standing, nil
}

// ByCluster goes over the grants of each cluster, which lie side by side in the order of their keys.
func ByCluster(all []Object[v1alpha1.Grant]) iter.Seq2[string, []Object[v1alpha1.Grant]] {
	return func(yield func(string, []Object[v1alpha1.Grant]) bool) {
		for len(all) > 0 {
			cluster, _ := v1alpha1.CutGrantKey(all[0].Key)
			own := v1alpha1.GrantKey(cluster, "")
			n, _ := slices.BinarySearchFunc(all, own, func(g Object[v1alpha1.Grant], own string) int {
				if strings.HasPrefix(g.Key, own) {
					return -1
				}
				return strings.Compare(g.Key, own)
			})
			if !yield(cluster, all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}
