package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Scene is the fleet as one look found it: what statuses, placements, rollouts and Works are all decided from. Nobody changes it but for Picked.
type Scene struct {
	Now      time.Time
	Clusters []v1alpha1.Cluster
	// Metrics by cluster, of those that told.
	Metrics map[string]v1alpha1.ClusterMetricsStatus
	// Grants by the bundle's name and by cluster.
	Grants map[string]map[string]v1alpha1.Grant
	// Sightings by cluster. A cluster that the leader never heard has none.
	Sightings map[string]Sighting
	// Sealed are the holders of the key of each secret, by the name that it is rolled out under. What is no secret has none.
	Sealed map[string]*Holders
	// Unread are what is rolled out and cannot be read, or not to whom, by name, and why: nothing is decided of it but what becomes of the waves that it
	// was granted.
	Unread map[string]string
	// Picked is what was found out of this ground before, and is added to. nil: nobody remembers.
	Picked Picked
}

// Sighting is what a cluster's member said last.
type Sighting struct {
	// Fresh says that it was heard a moment ago.
	Fresh bool
	// Works by the bundle's name.
	Works map[string]v1alpha1.WorkStatus
	// Aggregated is what it said of the fleet's API in its cluster, and ControlPlane of that cluster's own; without a status
	// it said nothing.
	Aggregated, ControlPlane metav1.Condition
}

// told is what a cluster's member said of the very grant that it has. What it said of an earlier one, be it of the same revision, is
// not about this one: false.
func (s Scene) told(cluster string, g v1alpha1.Grant) (v1alpha1.WorkStatus, bool) {
	w := s.Sightings[cluster].Works[g.Bundle]
	return w, g.At != 0 && w.Grant == g.At
}

// runsWell says whether a cluster runs what it was granted, healthy, as its own member said last.
func (s Scene) runsWell(cluster string, g v1alpha1.Grant) bool {
	w, told := s.told(cluster, g)
	return told && w.Applied == g.Revision && w.Health == v1alpha1.HealthReady
}

// Ground is what a bundle's placement is decided on.
func (s Scene) Ground(bundle string) Ground {
	return Ground{Clusters: s.Clusters, Metrics: s.Metrics, Has: HasBundle(s.Grants[bundle])}
}
