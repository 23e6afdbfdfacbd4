package consensus_test

import (
	"context"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// bubble runs f on a new group in virtual time.
func bubble(t *testing.T, members int, latency time.Duration, f func(t *testing.T, g *consensustest.Group)) {
	t.Helper()
	virtual.Test(t, func(t *testing.T) {
		g := consensustest.NewGroup(t, members, latency)
		defer g.Close()
		f(t, g)
	})
}

func TestGroup(t *testing.T) {
	t.Run("one voter alone until three members are stable, then three", func(t *testing.T) {
		bubble(t, 3, 10*time.Millisecond, func(t *testing.T, g *consensustest.Group) {
			g.Found(3)
			for _, m := range g.Members {
				g.MustPut(m, "/k/"+string(m.ID), "v")
				if _, ok := m.Get("/k/" + string(m.ID)); !ok {
					t.Errorf("%s does not read its own write", m.ID)
				}
			}
		})
	})
}

// contextFor is t.Context that ends after d.
func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), d)
}

// with puts known bugs back.
func with(faults fault.Set) func(*consensus.Config) {
	return func(c *consensus.Config) { c.Faults = faults }
}
