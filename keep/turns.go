package keep

import (
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

// timeTurns forgets what was seen of others in another term, and as long as there is no leader: nobody could write then.
func (k *Keeper) timeTurns(term uint64, led bool) {
	if !led || term != k.term {
		clear(k.turns)
	}
	k.term = term
}

// turnsOf is what was seen of those whose turn it was in a group.
func (k *Keeper) turnsOf(g decoded.Object[v1alpha1.RecipientGroup]) *plan.Turns {
	if k.turns[g.Key] == nil {
		k.turns[g.Key] = &plan.Turns{}
	}
	return k.turns[g.Key]
}

// waitsFor says for whom something about a group's present key waits, and how much of that each has done.
func (k *Keeper) waitsFor(g decoded.Object[v1alpha1.RecipientGroup], what string, done map[string]int) {
	for _, cluster := range k.turnsOf(g).Waits(what, g.Value.Status.Epoch, done, time.Now()) {
		k.log.Warn("a member whose turn it is does nothing; it is passed over", "group", g.Value.Name, "cluster", cluster, "for", what)
	}
}
