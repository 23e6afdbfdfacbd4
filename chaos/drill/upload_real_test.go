package drill

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

// leastPatience is how long a follower waits for its leader at least. A machine that is late by more has silenced it itself.
const leastPatience = 250 * time.Millisecond

func TestALargeApplyCostsNoElection(t *testing.T) {
	daemons := company(t, hanseBinary(t), "acme", "fra", "iad", "sin")
	manifests, _, err := Install(LargeInstall, 1)
	if err != nil {
		t.Fatal(err)
	}
	pulse := feel(t)
	before := elections(t, daemons)
	if before == 0 {
		t.Error("no log tells of an election, the first one included")
	}
	apply := []string{"apply", "--bundle", "stack", "--to", "all", "-f", "-", "--timeout", "2m"}
	var version []byte
	for i, asked := range daemons[:2] { // the leader, and one that does not lead
		version = bytes.ReplaceAll(manifests, []byte("2.14.0"), fmt.Appendf(nil, "2.14.%d", i+1))
		said := ended(t, 0, tell(t, asked.Person(), version, apply...), apply)
		mentions(t, said.Out, "bundle stack applied")
		t.Logf("through %s: %s", asked.Cluster, said)
	}
	again := ended(t, 0, tell(t, daemons[2].Person(), version, apply...), apply)
	mentions(t, again.Out, "bundle stack unchanged")
	late, disk := pulse.Worst()
	t.Logf("this machine was late by %s at the worst, and took %s to sync a few bytes", round(late), round(disk))
	if after := elections(t, daemons); after != before && late+disk < leastPatience {
		t.Errorf("%d elections before, %d after", before, after)
	}
}

// elections is how many leaders the logs tell of.
func elections(t *testing.T, daemons []*Daemon) (n int) {
	t.Helper()
	for _, d := range daemons {
		log, err := os.ReadFile(d.Log)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(log, []byte(`msg="leader elected"`))
	}
	return n
}
