package drill

import (
	"fmt"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Two regions die one after the other, each with the leader in it, and a cluster of a third; at each moment, status
// says which regions could be lost, and what it says is tried.
func TestTheLeadersRegionDiesAndThenTheNextLeadersRegion(t *testing.T) {
	t.Parallel()
	f := newField(t, 4, 2)
	f.witness(t)
	f.vote(t, 5)
	f.must(t, "iad", shop("1"), applyShop("--wait")...)
	f.settle(t, "five vote, and any region can be lost", 5, 4)
	load := f.writeThrough(t, "fra", "iad", "sin", "gru")

	first := f.loseLeadersRegion(t, load)
	f.settle(t, "the voters of "+first+" are replaced", 5, 3)
	second := f.loseLeadersRegion(t, load)
	s := f.settle(t, "the voters of "+second+" are replaced as far as can be", 3, 1)

	t.Run("the region that status says can be lost can be", func(t *testing.T) {
		f.losesOnly(t, load, s.RegionsYouCanLose[0])
	})
	t.Run("all return, and nothing that was acknowledged is lost", func(t *testing.T) {
		f.healAll(t)
		f.settle(t, "five vote, and any region can be lost", 5, 4)
		load.stop()
		f.must(t, "scl", shop("2"), applyShop("--wait")...)
		for _, c := range f.bed.Clusters() {
			until(t, 3*time.Minute, settings(f.kubernetes(t, c.Name()), "shop", "settings", "version", "2"))
		}
		load.allThere(t, f.realm)
	})
	t.Run("one that does not vote loses its disk", func(t *testing.T) {
		losingADisk(t, f, f.follower(t), "2")
	})
}

// follower is a cluster whose member does not vote.
func (r *realm) follower(t *testing.T) string {
	t.Helper()
	for _, c := range r.status(t, r.survivor(t)).Clusters {
		if !c.Voter {
			return c.Name
		}
	}
	t.Fatal("everybody votes")
	return ""
}

// vote makes so many members vote.
func (r *realm) vote(t *testing.T, voters int) {
	t.Helper()
	fleet := fmt.Appendf(nil, "apiVersion: fleet.hanse.dev/v1alpha1\nkind: Fleet\nmetadata: {name: acme}\nspec: {voters: %d}\n", voters)
	r.must(t, r.survivor(t), fleet, "apply", "-f", "-")
}

// losesOnly kills a region beside which one other is left, and checks that writes go on and status says that nothing
// more can be lost.
func (r *realm) losesOnly(t *testing.T, l *load, region string) {
	t.Helper()
	t.Logf("region %s dies, which status says can be lost", region)
	r.kill(t, region)
	l.goesOn(t, r)
	for _, m := range r.survivors() {
		until(t, replaced, m.sees(func(s v1alpha1.FleetStatus) error { return truthful(s, r.dead) }))
	}
}
