package drill

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// aLargeInstall is held on a fleet without bundles, and leaves it so.
func aLargeInstall(t *testing.T, f *field) {
	manifests, objects, err := Install(LargeInstall, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects, %.1f MiB of manifests", objects, float64(len(manifests))/(1<<20))
	before := f.surveys(t)
	pulse := feel(t)
	leader, elections := f.status(t, "fra").Leader, f.elections(t)

	t.Run("it becomes ready in all three clusters", func(t *testing.T) {
		said := f.must(t, "sin", manifests, "apply", "--bundle", "stack", "--to", "all", "-f", "-", "--wait")
		t.Logf("%s", said)
		works := f.must(t, "iad", nil, "get", "works")
		for _, c := range f.bed.Clusters() {
			mentions(t, works.Out, "stack."+c.Name())
		}
		status := f.must(t, "iad", nil, "status")
		mentions(t, status.Out, "1 ready")
		for name, s := range f.surveys(t) {
			if n := len(s.Of("stack")); n < objects {
				t.Errorf("%s has %d objects of %d", name, n, objects)
			}
		}
	})

	t.Run("its deletion leaves nothing behind", func(t *testing.T) {
		said := f.must(t, "iad", nil, "delete", "bundle", "stack", "--yes", "--wait")
		t.Logf("%s", said)
		for name, s := range f.surveys(t) {
			if left := residue(s, before[name], "stack"); len(left) > 0 {
				t.Errorf("%s still has %d objects: %q", name, len(left), left)
			}
		}
		if out := f.must(t, "sin", nil, "get", "works").Out; strings.Contains(out, "stack") {
			t.Errorf("works:\n%s", out)
		}
	})

	// What it costs daemons that have a machine is asserted by TestALargeApplyCostsNoElection; here three control planes take it.
	late, disk := pulse.Worst()
	t.Logf("%d elections, leader %s before and %s after; the machine was late by %s at the worst, and took %s to sync a few bytes",
		f.elections(t)-elections, leader, f.status(t, "fra").Leader, round(late), round(disk))
}

// residue is what lies in a cluster and did not lie there before, or belongs to a bundle that is gone.
func residue(now, before Survey, bundle string) []string {
	return append(now.Beyond(before), now.Of(bundle)...)
}

// surveys are what lies in each cluster.
func (f *field) surveys(t *testing.T) map[string]Survey {
	t.Helper()
	all := map[string]Survey{}
	for _, c := range f.bed.Clusters() {
		all[c.Name()] = f.atRest(t, c.Name())
	}
	return all
}

// atRest is a survey of a cluster in which nothing comes or goes any more: one that was started a moment ago is still
// being furnished by its controllers.
func (f *field) atRest(t *testing.T, cluster string) (s Survey) {
	t.Helper()
	until(t, 2*time.Minute, func(context.Context) error {
		first := f.survey(t, cluster)
		if s = f.survey(t, cluster); len(s.Beyond(first))+len(first.Beyond(s)) > 0 {
			return fmt.Errorf("%s changes: %q came, %q went", cluster, s.Beyond(first), first.Beyond(s))
		}
		return nil
	})
	return s
}

// survey is what lies in a cluster now.
func (f *field) survey(t *testing.T, cluster string) Survey {
	t.Helper()
	config, err := f.cluster(t, cluster).REST()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Look(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// feel takes this machine's pulse until the test ends.
func feel(t *testing.T) *Pulse {
	pulse := &Pulse{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	dir := folder(t)
	go func() { ended <- pulse.Run(ctx, dir) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return pulse
}
