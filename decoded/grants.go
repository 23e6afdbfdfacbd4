package decoded

import (
	"iter"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Standing are the grants of clusters that are there; nobody changes what is returned. Those of others grant nothing: they are left until the leader has cleared
// them away (law.Leavings).
func (k Kinds) Standing(v *store.View) ([]Object[v1alpha1.Grant], error) {
	all, err := k.Grants.List(v)
	if err != nil {
		return nil, err
	}
	there, left := map[string]bool{}, false
	for cluster := range ByCluster(all) {
		_, there[cluster] = v.Modified(v1alpha1.KeyClusters + cluster)
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
