package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// losingADisk takes the data directory of a cluster's member away, and brings the cluster back as docs/failures.md says.
// The fleet, of which any region can be lost, and in which the bundle shop is at a version, is then as it was, but for that
// member's incarnation.
func losingADisk(t *testing.T, f *field, name, version string) {
	c, other := f.cluster(t, name), f.other(t, name)
	voters, incarnation, was := f.status(t, other).Quorum.Voters, f.incarnation(t, other, name), f.survey(t, name)
	create := []string{"token", "create", "--cluster", name, "--replace"}
	token := f.must(t, other, nil, create...).Out

	t.Run("while its member is alive nobody takes its place", func(t *testing.T) {
		second, err := NewDaemon(f.hanse, folder(t), name, c.Region())
		if err != nil {
			t.Fatal(err)
		}
		refused(t, joins(t, second, token), token, "is alive")
	})
	old := f.loseDisk(t, name)
	until(t, comesBack, f.seat(t, other).sees(func(s v1alpha1.FleetStatus) error { return gone(s, name) }))

	came := t.Run("a new incarnation takes its place", func(t *testing.T) {
		begun := time.Now()
		f.rejoin(t, name, token)
		f.settle(t, name+" is back", voters, len(f.living()))
		t.Logf("the disk of %s was lost %s ago", name, round(time.Since(begun)))
		if now := f.incarnation(t, other, name); now == incarnation || now == "" {
			t.Errorf("incarnation %q before, %q now", incarnation, now)
		}
	})
	if !came {
		return
	}
	t.Run("its workloads were not touched, and are looked after", func(t *testing.T) {
		until(t, comesBack, f.standing(other, "shop", name, "Ready"))
		f.untouched(t, name, was, "shop")
		repairs(t, f.kubernetes(t, name), version)
	})
	t.Run("its old data directory is refused", func(t *testing.T) {
		was := f.survey(t, name)
		if err := old.Start("--kubeconfig", c.Kubeconfig(), "--listen", old.Members(), "--api-listen", old.People()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("it still runs after a minute"))
		defer cancel()
		if code, err := old.Wait(ctx); code != 3 || err != nil {
			t.Errorf("it ended with %d (%v)", code, err)
		}
		log, err := os.ReadFile(old.Log)
		if err != nil {
			t.Fatal(err)
		}
		mentions(t, string(log), wordsOfTheRemoved)
		f.untouched(t, name, was, "shop")
	})
}

// loseDisk kills a cluster's member and takes its data directory away. What it returns has that directory, should it turn
// up again, and addresses of its own.
func (f *field) loseDisk(t *testing.T, name string) *Daemon {
	t.Helper()
	c := f.cluster(t, name)
	f.losses++
	lost, err := NewDaemon(f.hanse, filepath.Dir(c.DataDir()), fmt.Sprintf("lost-%d", f.losses), c.Region())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Kill(testbed.Member), os.Rename(c.DataDir(), lost.Dir)); err != nil {
		t.Fatal(err)
	}
	return lost
}

// rejoin lets a cluster whose member has no data directory join with a token that names it, and starts that member.
func (f *field) rejoin(t *testing.T, name, token string) {
	t.Helper()
	c := f.cluster(t, name)
	join := append([]string{"join", "--cluster", name}, c.AddressFlags()...)
	t.Logf("%s", ended(t, 0, tell(t, Person{Hanse: f.hanse}, []byte(token), join...), join))
	if err := f.bed.Heal(t.Context(), c.Region()); err != nil {
		t.Fatal(err)
	}
}

// gone fails while a cluster's member is reached.
func gone(s v1alpha1.FleetStatus, name string) error {
	for _, c := range s.Clusters {
		if c.Name == name && c.Reachable {
			return fmt.Errorf("%s still reaches %s", s.Member, name)
		}
	}
	return nil
}

// other is a living member that is not of a cluster.
func (r *realm) other(t *testing.T, name string) string {
	t.Helper()
	for _, m := range r.survivors() {
		if m.name != name {
			return m.name
		}
	}
	t.Fatalf("nobody lives beside %s", name)
	return ""
}

func (r *realm) incarnation(t *testing.T, asked, name string) string {
	t.Helper()
	var c v1alpha1.Cluster
	if err := json.Unmarshal([]byte(r.must(t, asked, nil, "get", "cluster", name, "-o", "json").Out), &c); err != nil {
		t.Fatal(err)
	}
	return c.Status.Incarnation
}

// untouched checks that the objects of bundles are those that they were, and as they were.
func (f *field) untouched(t *testing.T, cluster string, was Survey, bundles ...string) {
	t.Helper()
	now := f.survey(t, cluster)
	for _, b := range bundles {
		if len(was.Of(b)) == 0 {
			t.Errorf("%s had nothing of %s", cluster, b)
		}
		if touched := now.Touched(was, b); len(touched) > 0 {
			t.Errorf("of %s in %s these went, were made anew or written to: %q", b, cluster, touched)
		}
	}
}
