package agent

import (
	"context"
	"time"

	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/internal/startup"
)

// settled is how long after its start a member has done what it does once: found the others, listed its cluster, told its API.
const settled = 30 * time.Second

// settle gives back, once, what only the start needed.
func (c *Core) settle(ctx context.Context) error {
	if !pause.For(ctx, settled) {
		return nil
	}
	given, err := startup.GiveBack()
	c.log.Debug("settled", "given", given, "err", err) // without it all goes on as it is
	return nil
}
