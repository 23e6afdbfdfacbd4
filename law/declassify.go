package law

import (
	"encoding/json"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// declassifies says that a write names values of a secret as none that were not named so before. They may stay when somebody leaves who could read
// them, so whoever says it closes lines of the ledger while the values are as they were.
func (w write) declassifies() bool {
	var before, after v1alpha1.FleetSecret
	if w.op.Delete || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	if w.before != nil && json.Unmarshal(w.before, &before) != nil {
		before = v1alpha1.FleetSecret{}
	}
	return slices.ContainsFunc(after.Spec.NotSecret, func(name string) bool { return !slices.Contains(before.Spec.NotSecret, name) })
}
