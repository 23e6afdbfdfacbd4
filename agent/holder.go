package agent

import (
	"context"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/transport"
)

// keepKeys keeps the keys of groups that this member's cluster is of, and what is sealed for them.
func (c *Core) keepKeys(ctx context.Context) error {
	return keep.New(keep.Config{
		Holder: c.holder(), Log: keysLog{c}, Kinds: c.decoded, Heard: c.heardByKeeper, Signed: c.signedRecipient, Now: c.now, Logger: c.log,
	}).Run(ctx)
}

// holder is this member as one that may hold keys of groups.
func (c *Core) holder() keep.Holder {
	return keep.Holder{Fleet: c.self.Fleet, Cluster: c.self.Cluster, Age: c.age}
}

// keysLog is the log for who keeps keys.
type keysLog struct{ *Core }

// View implements keep.Log.
func (l keysLog) View() *store.View { return l.store.View() }

// Changed implements keep.Log.
func (l keysLog) Changed(ctx context.Context, prefixes []string, after store.Revision) error {
	return l.changed(ctx, prefixes, after)
}

// Propose implements keep.Log.
func (l keysLog) Propose(ctx context.Context, txn store.Txn) error {
	_, err := l.node.Propose(ctx, consensus.Proposal{Txn: txn})
	return err
}

// Term implements keep.Log.
func (l keysLog) Term() (term uint64, led bool) {
	_, term, led = l.node.Leader()
	return term, led
}

func (c *Core) heardByKeeper(v *store.View) func(cluster string) bool {
	if c.alone {
		return func(string) bool { return false }
	}
	return c.heard(v)
}

// heard says which clusters of a view have a member that this one hears now.
func (c *Core) heard(v *store.View) func(cluster string) bool {
	seen, now := c.sightings(v), time.Now()
	return func(cluster string) bool { return seen[cluster].Fresh(now) }
}

// there says which clusters of a view are this member's own, or heard.
func (c *Core) there(v *store.View) func(cluster string) bool {
	heard := c.heard(v)
	return func(cluster string) bool { return cluster == c.self.Cluster || heard(cluster) }
}

// signedRecipient implements keep.Config's Signed.
func (c *Core) signedRecipient(m store.Member, recipient string, status *v1alpha1.ClusterStatus) error {
	signed := transport.OwnRecipient{Fleet: c.self.Fleet, Cluster: m.Cluster, Pin: transport.Pin(m.Pin), Recipient: recipient}
	if since := status.RecipientSince; since != nil {
		signed.Since = since.Time
	}
	return signed.Verify(m.Certificate, status.RecipientSignature)
}
