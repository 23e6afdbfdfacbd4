package plan

import (
	"maps"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Picked remembers what placements pick on one ground, by the bundle's name: who looks again and again at a thousand bundles, of which few
// change, asks each once. It may be read and added to from one goroutine at a time.
type Picked map[string]picked

// picked is what the placement of a bundle picks. The bundle is known by where it lies: nobody changes one that was decoded.
type picked struct {
	of       *v1alpha1.Bundle
	clusters []string
	err      error
	// lacks is what the placement asks for and does not get.
	lacks []string
}

// Remeasured forgets what may rest on metrics, as these are others.
func (p Picked) Remeasured() {
	maps.DeleteFunc(p, func(_ string, was picked) bool { return measures(was.of.Spec.Placement) })
}

// measures says that a placement looks at more than labels, names and taints.
func measures(p v1alpha1.Placement) bool {
	return p.NumberOfClusters != nil || len(p.SpreadConstraints) > 0 || p.Expression != ""
}

// picks are the clusters that a bundle's placement picks, sorted. Nobody changes what is returned.
func (s Scene) picks(b *v1alpha1.Bundle) ([]string, error) {
	p := s.placed(b)
	return p.clusters, p.err
}

func (s Scene) placed(b *v1alpha1.Bundle) picked {
	was, known := s.Picked[b.Name]
	if known && was.of == b {
		return was
	}
	now, ground := picked{of: b}, s.Ground(b.Name)
	now.clusters, now.err = Picks(b.Spec.Placement, ground)
	now.lacks = Unsatisfied(b.Spec.Placement, ground)
	if s.Picked != nil {
		s.Picked[b.Name] = now
	}
	return now
}
