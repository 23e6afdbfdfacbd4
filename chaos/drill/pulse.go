package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// Pulse measures how late this machine wakes whoever asked to be woken, and how long its disk takes to sync a few bytes.
// Where many control planes share few processors and one disk, that is what the fleet's own clocks suffer, and no fault
// of theirs.
type Pulse struct{ timer, disk atomic.Int64 }

const (
	beat     = 10 * time.Millisecond
	syncBeat = 100 * time.Millisecond
)

// Run ends with ctx. It syncs a file of its own in dir.
func (p *Pulse) Run(ctx context.Context, dir string) error {
	f, err := os.Create(filepath.Join(dir, "pulse"))
	if err != nil {
		return fmt.Errorf("make pulse: %w", err)
	}
	defer f.Close()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { p.feelTimer(ctx) })
	for pause.For(ctx, syncBeat) {
		begun := time.Now()
		if _, err := f.WriteAt([]byte(begun.String()), 0); err != nil {
			return fmt.Errorf("write pulse: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync pulse: %w", err)
		}
		raise(&p.disk, time.Since(begun))
	}
	return nil
}

func (p *Pulse) feelTimer(ctx context.Context) {
	for begun := time.Now(); pause.For(ctx, beat); begun = time.Now() {
		raise(&p.timer, time.Since(begun)-beat)
	}
}

func raise(worst *atomic.Int64, d time.Duration) { worst.Store(max(worst.Load(), int64(d))) }

// Worst is how late the machine was, and how long a sync took, at the worst.
func (p *Pulse) Worst() (timer, disk time.Duration) {
	return time.Duration(p.timer.Load()), time.Duration(p.disk.Load())
}
