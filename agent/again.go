package agent

import (
	"context"
	"errors"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// again proposes what change makes of the newest state, and does so anew for as long as somebody else writes what that rests on in between. A change
// that writes nothing is not proposed. It returns the revision that the change was written at, or that nothing was to be written at.
func (c *Core) again(ctx context.Context, change func(*store.View) (consensus.Proposal, error)) (store.Revision, error) {
	for {
		if _, err := c.node.Read(ctx); err != nil {
			return 0, err
		}
		v := c.store.View()
		p, err := change(v)
		if err != nil || len(p.Txn.Then) == 0 {
			return v.Revision(), err
		}
		r, err := c.node.Propose(ctx, p)
		if !errors.As(err, new(*store.Conflict)) || ctx.Err() != nil {
			return r.Revision, err
		}
	}
}
