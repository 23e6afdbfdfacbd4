// Package virtual plays tests in virtual time, so that the race detector can look at them.
package virtual

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// Test is synctest.Test. Under the race detector it has one processor, and so has the whole process meanwhile.
//
// What runs the timers of a bubble is one thread in the eyes of the race detector, and any goroutine that looks at the channel of a
// timer that is due runs it by itself. Two that do so at one moment destroy what the detector knows, and it ends the process:
// "ThreadSanitizer: CHECK failed", or a fault at an address of nothing (Go 1.26). On one processor there is no such moment. The detector
// loses little by it: it goes by what happens before what, not by when.
func Test(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if Race {
		alone.begin()
		defer alone.end()
	}
	synctest.Test(t, f)
}

// bubbles counts those that are played, which may be several: tests run beside each other.
type bubbles struct {
	mu         sync.Mutex
	played     int
	processors int // as many as there were before the first of them
}

var alone bubbles

func (b *bubbles) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.played == 0 {
		b.processors = runtime.GOMAXPROCS(1)
	}
	b.played++
}

func (b *bubbles) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.played--; b.played == 0 {
		runtime.GOMAXPROCS(b.processors)
	}
}
