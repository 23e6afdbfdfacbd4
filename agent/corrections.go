package agent

import (
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// corrections are what was ordered to be put right once in this member's cluster, by bundle. An order of an earlier epoch is none: a restore
// brings it back, and nobody knows by then what it was about.
func (c *Core) corrections(v *store.View) (map[string]v1alpha1.Correction, error) {
	bundles, err := c.decoded.Bundles.List(v)
	if err != nil {
		return nil, err
	}
	all := map[string]v1alpha1.Correction{}
	for _, b := range bundles {
		order := v1alpha1.CorrectionOf(b.Value).For(c.self.Cluster)
		if order.Number > 0 && (order.Epoch == "" || order.Epoch == v.Epoch().ID) {
			all[b.Value.Name] = order
		}
	}
	return all, nil
}
