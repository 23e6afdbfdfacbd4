package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Epoch is the life of the fleet that a grant comes from: its founding, or a way back from a loss. What the cluster has acted
// on may be from an epoch that the fleet knows nothing of.
type Epoch struct {
	// Number counts the epochs, from 1; ID tells two of one number apart, that both began from the same past.
	Number uint64
	ID     string
	// Began is the store revision of the epoch's first change. A grant of an older one was decided before the loss.
	Began uint64
}

// isOlder says that the cluster acts, or may have acted, on something newer than a grant: the state that the grant comes from
// was rolled back, and is not acted on until a person decides about the bundle.
func (inv inventory) isOlder(g Grant, damaged bool) bool {
	decided := g.StoreRevision >= g.Epoch.Began // in the grant's own epoch
	switch {
	case g.StoreRevision == 0:
		return false
	case g.Epoch.Number <= 1: // a new fleet knows nothing of the past of a cluster that comes to it
		return inv.bundleUID == g.BundleUID && g.StoreRevision < inv.storeRevision
	case damaged:
		return !decided
	case inv.epoch == g.Epoch.Number && inv.epochID != g.Epoch.ID && decided:
		return false // both count on from one past; neither knows the other's revisions
	}
	return g.StoreRevision < inv.storeRevision
}

// has says that the cluster has carried out the very revision of a grant. Of one that was decided since an epoch began it cannot be said by its
// name: the past that was lost may have had another of that name.
func (inv inventory) has(g Grant) bool {
	onePast := inv.epochID == g.Epoch.ID || g.StoreRevision < g.Epoch.Began
	return onePast && g.Revision != "" && inv.revision == g.Revision
}

// isOlder is the inventory's, as it was read.
func (b *bundle) isOlder(g Grant) bool { return b.inv.isOlder(g, b.damaged != "") }

// refuseOld gives up a grant that is older than what the inventory has seen.
func (b *bundle) refuseOld() bool {
	old := b.isOlder(b.grant)
	if old {
		b.phase, b.refused, b.lookAt = idle, b.grant.StoreRevision, time.Now().Add(b.s.timing.Look)
		b.postOldGrant()
	}
	return old
}

// isGivenUp says that nothing is carried out, as the bundle's grant was given up.
func (b *bundle) isGivenUp() bool {
	return b.phase == idle && b.refused != 0 && b.refused == b.grant.StoreRevision
}

// lookAgain takes up a grant that was given up once its inventory lies there as another one: a person may have had it forgotten. It is read and
// not watched: all that is written of a shard would come with each event. Of a look that fails the next one comes soon enough.
func (b *bundle) lookAgain(ctx context.Context) error {
	if time.Now().Before(b.lookAt) {
		return nil
	}
	b.lookAt = time.Now().Add(b.s.timing.Look)
	head := errand{name: objectName(b.name), read: true}
	if err := b.s.inventories.heads.ask(ctx, &head); err != nil || head.got == b.have.head {
		return nil
	}
	b.refused = 0
	b.begin(b.grant)
	return b.step(ctx)
}

// whyOld is what people are told about a grant that is refused.
func (b *bundle) whyOld() string {
	decide := fmt.Sprintf(": hanse apply a changed version of it, or hanse delete %s", v1alpha1.RolledOutOf(b.name).Arg())
	if b.damaged != "" {
		return hinted(fmt.Sprintf("the grant is of store revision %d, from before the fleet came back, and what the cluster has acted on is not known: %s", b.refused, b.damaged), "; decide"+decide)
	}
	why := fmt.Sprintf("the grant is of store revision %d, and the cluster has acted on %d: it is not carried out until somebody decides", b.refused, b.inv.storeRevision)
	if b.inv.epoch > b.grant.Epoch.Number {
		return hinted(why, decide, fmt.Sprintf("; that was in epoch %d, this is %d: to give it up: %s", b.inv.epoch, b.grant.Epoch.Number, giveUp(b.name)))
	}
	return hinted(why, decide)
}
