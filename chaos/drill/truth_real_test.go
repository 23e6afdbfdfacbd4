package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// What status says can be lost is tried, and what it says cannot be.
func TestStatusTellsTheTruthOfThreeRegionsAndOfTwo(t *testing.T) {
	t.Parallel()
	hanse := hanseBinary(t)
	places := []place{{"fra", "eu"}, {"ams", "eu"}, {"iad", "us"}, {"pdx", "us"}, {"sin", "ap"}, {"nrt", "ap"}}
	t.Run("of three regions any one can be lost, and then one of two", func(t *testing.T) {
		t.Parallel()
		r := newRealm(t, hanse, places...)
		r.witness(t)
		r.vote(t, 5)
		load := r.writeThrough(t, "fra", "iad", "sin")
		load.goesOn(t, r)
		r.settle(t, "five vote, and any region can be lost", 5, 3)
		gone := r.loseLeadersRegion(t, load)
		r.twoLeft(t, load, r.settle(t, "the voters of "+gone+" are replaced as far as can be", 3, 1))
	})
	t.Run("of two regions one can be lost", func(t *testing.T) {
		t.Parallel()
		r := newRealm(t, hanse, places[:4]...)
		r.witness(t)
		load := r.writeThrough(t, "fra", "iad")
		load.goesOn(t, r)
		r.twoLeft(t, load, r.settle(t, "three vote, and one region can be lost", 3, 1))
	})
}

// twoLeft tries what a status says of the two regions that live: first the loss that it says nobody may hope to
// survive, then the other one.
func (r *realm) twoLeft(t *testing.T, l *load, s v1alpha1.FleetStatus) {
	other := slices.DeleteFunc(r.living(), func(region string) bool { return region == s.RegionsYouCanLose[0] })[0]
	t.Logf("region %s dies, which status says cannot be lost", other)
	r.kill(t, other)
	r.stands(t)
	r.heal(t, other)
	l.goesOn(t, r)
	s = r.settle(t, other+" is back, and writes go on", 3, 1)

	r.losesOnly(t, l, s.RegionsYouCanLose[0])
	r.healAll(t)
	l.goesOn(t, r)
	l.allThere(t, r)
}

// stands checks what a fleet without a majority does: it answers, and writes nothing, and says why and what to do.
func (r *realm) stands(t *testing.T) {
	t.Helper()
	asked := r.survivor(t)
	until(t, goesOn, r.seat(t, asked).sees(func(s v1alpha1.FleetStatus) error {
		if s.Quorum.Have {
			return fmt.Errorf("%s believes in a quorum of %d in %d", asked, s.Quorum.Reached, s.Quorum.Voters)
		}
		return truthful(s, r.dead)
	}))
	apply := []string{"apply", "-f", "-", "--timeout", "5s"}
	said := ended(t, 4, r.tell(t, asked, userNamed("nobody"), apply...), apply)
	mentions(t, said.Talk, "no quorum", asked+" reaches 1 of 3 voters", "writes wait for", "nothing was written", "hanse recover --show")
	t.Logf("%s", said)

	read := r.must(t, asked, nil, "get", "users", "-o", "name")
	mentions(t, read.Out, r.survivor(t)+"-")
	mentions(t, read.Talk, "warning", fmt.Sprintf("revision %d", r.status(t, asked).Revision))
	status := ended(t, 3, r.tell(t, asked, nil, "status"), []string{"status"})
	mentions(t, status.Out, "no quorum 1 of 3", "can lose: no region", "gone", "hanse recover")
	t.Logf("%s", status)
}

// living are the regions that live, sorted.
func (r *realm) living() []string {
	var all []string
	for _, m := range r.survivors() {
		all = append(all, m.region)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// newRealm is a realm of daemons without clusters.
func newRealm(t *testing.T, hanse string, places ...place) *realm {
	t.Helper()
	return realmOf(hanse, gather(t, hanse, "acme", places...))
}

func realmOf(hanse string, daemons []*Daemon) *realm {
	r := &realm{hanse: hanse}
	for _, d := range daemons {
		r.seats = append(r.seats, seat{name: d.Cluster, region: d.Region, socket: d.Socket(), status: d.Status})
	}
	each := func(region string, do func(*Daemon) error) error {
		var errs []error
		for _, d := range daemons {
			if d.Region == region {
				errs = append(errs, do(d))
			}
		}
		return errors.Join(errs...)
	}
	r.down = func(region string) error { return each(region, (*Daemon).Kill) }
	r.up = func(_ context.Context, region string) error {
		return each(region, func(d *Daemon) error { return d.Start() })
	}
	return r
}
