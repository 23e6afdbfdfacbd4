// Package pause waits, no longer than anybody wants what is waited for.
package pause

import (
	"context"
	"time"
)

// For waits, and says whether ctx is still alive: false as soon as it ends.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
