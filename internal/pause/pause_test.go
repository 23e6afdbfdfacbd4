package pause

import (
	"context"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestAPauseEndsWithWhoWantedIt(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if alive := For(ctx, 2*time.Second); !alive || time.Since(begun) != 2*time.Second {
			t.Errorf("whole: alive %v after %s", alive, time.Since(begun))
		}
		if alive := For(ctx, 2*time.Second); alive || time.Since(begun) != 3*time.Second {
			t.Errorf("cut: alive %v after %s", alive, time.Since(begun))
		}
	})
}
