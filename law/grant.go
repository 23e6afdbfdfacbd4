package law

import (
	"encoding/json"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// strikesGrant says that a member removes its own grant after it has withdrawn the bundle.
func (w write) strikesGrant() bool {
	var g v1alpha1.Grant
	return w.op.Delete && w.asker.person == "" && strings.HasPrefix(w.name, w.asker.cluster+"/") && w.before != nil &&
		json.Unmarshal(w.before, &g) == nil && g.Withdraw
}

// strikesTombstone says that a member takes itself, and nobody else, off a tombstone; the last one deletes it.
func (w write) strikesTombstone() bool {
	if w.asker.person != "" || w.before == nil {
		return false
	}
	op, changed, err := Strike(store.KV{Key: w.op.Key, Value: w.before}, w.asker.cluster)
	return err == nil && changed && same(op, w.op)
}
