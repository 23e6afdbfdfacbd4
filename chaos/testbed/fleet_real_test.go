package testbed_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
)

// fleetOf is a testbed with a fleet that ends with the test.
func fleetOf(t *testing.T, plan testbed.Plan) *testbed.Testbed {
	t.Helper()
	dir := t.TempDir()
	bed, err := testbed.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logTails(t, bed)
		}
		if err := bed.Down(); err != nil {
			t.Error(err)
		}
		if err := bed.Close(); err != nil {
			t.Error(err)
		}
	})
	up(t, bed, plan)
	return bed
}

func up(t *testing.T, bed *testbed.Testbed, plan testbed.Plan) {
	t.Helper()
	if err := bed.Prepare(plan); err != nil {
		t.Fatal(err)
	}
	if err := bed.StartClusters(t.Context(), bed.Clusters()...); err != nil {
		t.Fatal(err)
	}
	if err := bed.FormFleet(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func logTails(t *testing.T, bed *testbed.Testbed) {
	for _, c := range bed.Clusters() {
		t.Logf("%s, member:\n%s", c.Name(), c.LogTail(testbed.Member))
	}
}

func TestAFleetOfRealClusters(t *testing.T) {
	plan := testbed.Plan{Regions: 3, ClustersPerRegion: 1, Fleet: "acme", Binaries: testbedtest.Binaries(t), Hanse: testbedtest.Hanse(t)}
	bed := fleetOf(t, plan)

	t.Run("up again changes nothing", func(t *testing.T) {
		before := pidsOf(bed)
		up(t, bed, plan)
		if after := pidsOf(bed); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	})

	t.Run("a killed region is gone, and the others have a leader", func(t *testing.T) {
		if err := bed.Kill("eu"); err != nil {
			t.Fatal(err)
		}
		for _, c := range bed.Status().Clusters {
			if gone := c.Region == "eu"; gone != (len(c.Pids) == 0) {
				t.Errorf("%s: %v", c.Name, c.Pids)
			}
		}
		awaitLeader(t, bed, "iad", "iad", "sin")
	})

	t.Run("up brings back what was killed", func(t *testing.T) {
		up(t, bed, plan)
		awaitLeader(t, bed, "fra", "fra", "iad", "sin")
	})

	t.Run("a healed region is a part of the fleet again", func(t *testing.T) {
		if err := bed.Kill("us"); err != nil {
			t.Fatal(err)
		}
		if err := bed.Heal(t.Context(), "us"); err != nil {
			t.Fatal(err)
		}
		awaitLeader(t, bed, "iad", "fra", "iad", "sin")
	})
}

func pidsOf(bed *testbed.Testbed) string {
	var all string
	for _, c := range bed.Status().Clusters {
		all += fmt.Sprintln(c.Name, c.Pids)
	}
	return all
}

// awaitLeader waits until the member of asked knows a leader, one of those.
func awaitLeader(t *testing.T, bed *testbed.Testbed, asked string, among ...string) {
	t.Helper()
	c, err := bed.Cluster(asked)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := c.FleetStatus(ctx)
		for _, name := range among {
			if err == nil && status.Leader == name && status.Quorum.Have {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no leader among %v: %+v, %v", among, status, err)
		}
	}
}

// The demo's story is its own check: it fails when a step does not come true.
func TestTheDemoEndsWell(t *testing.T) {
	testbedtest.Binaries(t)
	dir := t.TempDir() + "/demo"
	out, err := testbedtest.Run(t, testbedtest.Testbed(t), "demo", "--dir", dir, "--hanse", testbedtest.Hanse(t))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("\n%s", out)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the demo left its folder: %v", err)
	}
}
