package platter_test

import (
	"syscall"
	"testing"

	"github.com/hanse-fleet/hanse/chaos/platter"
)

func TestFirstStart(t *testing.T) {
	t.Run("the power fails at any write or sync of a first start, and the next one succeeds", func(t *testing.T) {
		f := newFleet(t, seed(t))
		m := f.Members[0]
		for n := range 60 {
			f.drives[m] = platter.Start(t, f.rng.Uint64())
			op, nth := platter.Write, 1+n/2
			if n%2 == 0 {
				op = platter.Sync
			}
			f.drives[m].Fail(op, nth, syscall.EIO)
			err := f.TryStart(m)
			f.drives[m].Cut()
			if err == nil {
				f.Kill(m)
			}
			f.drives[m].Heal()
			if err2 := f.TryStart(m); err2 != nil {
				t.Errorf("%s %d (%v): %v", op, nth, err, err2)
				continue
			}
			f.Kill(m)
			for len(m.Fatal) > 0 {
				<-m.Fatal
			}
		}
	})
}
