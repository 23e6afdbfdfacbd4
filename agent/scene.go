package agent

import (
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
)

// sceneOf is what placements are decided on, as this member knows it, read once for all bundles that are asked about.
func sceneOf(v *store.View, told *told, clusters []object[v1alpha1.Cluster], grants []object[v1alpha1.Grant]) plan.Scene {
	s := plan.Scene{Metrics: map[string]v1alpha1.ClusterMetricsStatus{}, Grants: map[string]map[string]v1alpha1.Grant{}}
	known, _ := told.known(v)
	for _, c := range clusters {
		s.Clusters = append(s.Clusters, *c.value)
		s.Metrics[c.value.Name] = readings(c.value.Name, known[c.value.Name])
	}
	for _, g := range grants {
		cluster, bundle := v1alpha1.CutGrantKey(g.key)
		if s.Grants[bundle] == nil {
			s.Grants[bundle] = map[string]v1alpha1.Grant{}
		}
		s.Grants[bundle][cluster] = *g.value
	}
	return s
}
