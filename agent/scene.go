package agent

import (
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

// sceneOf is what placements are decided on, as this member knows it, read once for all bundles that are asked about.
func sceneOf(v *store.View, told *told, clusters []decoded.Object[v1alpha1.Cluster], grants []decoded.Object[v1alpha1.Grant]) plan.Scene {
	s := plan.Scene{Metrics: map[string]v1alpha1.ClusterMetricsStatus{}, Grants: grantsBy(grants)}
	known, _ := told.known(v)
	for _, c := range clusters {
		s.Clusters = append(s.Clusters, *c.Value)
		s.Metrics[c.Value.Name] = readings(c.Value.Name, known[c.Value.Name])
	}
	return s
}

// grantsBy are grants as plan reads them: by the bundle's name and by cluster, each with when it was written. A member names that in all that it says
// of a grant; without it nothing that it says would be of any, and no cluster would ever be known to run what it was granted.
func grantsBy(all []decoded.Object[v1alpha1.Grant]) map[string]map[string]v1alpha1.Grant {
	by := map[string]map[string]v1alpha1.Grant{}
	for _, g := range all {
		cluster, bundle := v1alpha1.CutGrantKey(g.Key)
		if by[bundle] == nil {
			by[bundle] = map[string]v1alpha1.Grant{}
		}
		granted := *g.Value
		granted.At = int64(g.Modified)
		by[bundle][cluster] = granted
	}
	return by
}
