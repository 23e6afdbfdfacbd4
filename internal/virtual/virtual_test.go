package virtual_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

// TestManyLookAtTimersThatAreDue is what ends the process under the race detector when it is played by synctest.Test on two processors.
func TestManyLookAtTimersThatAreDue(t *testing.T) {
	const goroutines, rounds, each = 8, 1500, 20
	before := runtime.GOMAXPROCS(0)
	virtual.Test(t, func(t *testing.T) {
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				for range rounds {
					var timers [each]*time.Timer
					for i := range timers {
						timers[i] = time.NewTimer(time.Millisecond)
					}
					time.Sleep(2 * time.Millisecond)
					for _, due := range timers {
						select {
						case <-due.C:
						default:
							t.Error("a timer that is due has not run")
						}
					}
				}
			})
		}
		all.Wait()
	})
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("%d processors are left of %d", after, before)
	}
}
