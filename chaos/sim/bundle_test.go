package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

const shopKey = v1alpha1.KeyBundles + "shop"

// put writes the bundle shop, for every cluster, as the API does.
func put(t *testing.T, m *sim.Member, uid string) {
	t.Helper()
	b := &v1alpha1.Bundle{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Bundle"},
		ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: types.UID(uid), Generation: 1},
		Spec:       v1alpha1.BundleSpec{Placement: v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}}},
	}
	value, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	change(t, m, value)
}

// bury deletes the bundle shop, as the API does.
func bury(t *testing.T, m *sim.Member) {
	t.Helper()
	change(t, m, nil)
}

// change writes the bundle with what belongs to it, and tries again when somebody else was quicker.
func change(t *testing.T, m *sim.Member, after []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if _, err := m.Core.Node().Read(ctx); err != nil {
			t.Fatal(err)
		}
		_, err := sim.Propose(ctx, m.Core, shopKey, after)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// carryOut does what a cluster would: what is granted is healthy at once, and what is to be withdrawn is gone, and struck.
func carryOut(ctx context.Context, m *sim.Member) {
	for last := (said{}); ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		runs := map[string]v1alpha1.WorkStatus{}
		for _, kv := range m.Core.Store().View().List(v1alpha1.KeyGrants + m.Name + "/") {
			var g v1alpha1.Grant
			if json.Unmarshal(kv.Value, &g) != nil || g.Held {
				continue
			}
			if !g.Withdraw {
				runs[g.Bundle] = v1alpha1.WorkStatus{Grant: int64(kv.Modified), Applied: g.Revision, Health: v1alpha1.HealthReady}
				continue
			}
			try, cancel := context.WithTimeout(ctx, time.Second)
			_ = m.Core.Withdrawn(try, g.Bundle, g.BundleUID) // the next round tries again
			cancel()
		}
		last.tell(m.Core, runs)
	}
}

// granted tells what a member knows: each grant of the shop, and each tombstone.
func granted(m *sim.Member) string {
	var lines []string
	v := m.Core.Store().View()
	for _, prefix := range []string{v1alpha1.KeyGrants, v1alpha1.KeyTombstones} {
		for _, kv := range v.List(prefix) {
			var r struct {
				v1alpha1.Grant
				Clusters []string `json:"clusters"`
			}
			if json.Unmarshal(kv.Value, &r) != nil {
				return "garbled"
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprint(kv.Key, " ", r.Revision, strings.Join(r.Clusters, ","))))
		}
	}
	return strings.Join(lines, "\n")
}

func everywhere(revision string) string {
	var lines []string
	for _, c := range []string{"ams", "fra", "iad", "pdx", "sin"} {
		lines = append(lines, "/grants/"+c+"/shop "+revision)
	}
	return strings.Join(lines, "\n")
}

// rolledOut says that every rollout that a member knows has ended.
func rolledOut(m *sim.Member) bool {
	for _, kv := range m.Core.Store().View().List(v1alpha1.KeyRollouts) {
		var r v1alpha1.Rollout
		if json.Unmarshal(kv.Value, &r) != nil || !r.Status.Phase.Ended() {
			return false
		}
	}
	return true
}

// missed is how long a cluster is silent until no wave is planned for it.
const missed = 10 * time.Second

// shopFleet is a fleet of five that carries out what it is granted, with the bundle shop in all of it.
func shopFleet(t *testing.T, play func(t *testing.T, f *sim.Fleet)) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		f.InMemory()
		defer f.Close()
		five(f)
		f.Settle(t.Context(), func(s *v1alpha1.FleetSpec) { s.Rollout = &v1alpha1.FleetRollout{Soak: &metav1.Duration{}} })
		defer carriedOut(t, f.Members)() // ended before the fleet closes
		put(t, f.Members[3], "first")
		f.Await("every cluster is granted it, and healthy", time.Minute, func() bool {
			return granted(f.Members[4]) == everywhere("shop-first-1") && rolledOut(f.Members[4])
		})
		play(t, f)
	})
}

func TestADeletedBundleIsWithdrawnAndForgotten(t *testing.T) {
	shopFleet(t, func(t *testing.T, f *sim.Fleet) {
		bury(t, f.Members[4])
		f.Await("nothing is left of it", time.Minute, func() bool {
			v := f.Members[1].Core.Store().View()
			return granted(f.Members[1]) == "" && len(v.List(v1alpha1.KeyBundleRevisions)) == 0 && len(v.List(v1alpha1.KeyRollouts)) == 0
		})
	})
}

func TestABundleThatIsDeletedAndMadeAgainIsGrantedAnew(t *testing.T) {
	shopFleet(t, func(t *testing.T, f *sim.Fleet) {
		bury(t, f.Members[4])
		put(t, f.Members[2], "second")
		f.Await("the new one is everywhere, and no tombstone is left", time.Minute, func() bool {
			return granted(f.Members[1]) == everywhere("shop-second-1")
		})
	})
}

func TestAClusterThatIsAwayWithdrawsOnItsReturn(t *testing.T) {
	shopFleet(t, func(t *testing.T, f *sim.Fleet) {
		away := f.Members[4]
		away.Isolate()
		time.Sleep(missed)
		bury(t, f.Leader())
		f.Await("only it is left on the tombstone", time.Minute, func() bool {
			return granted(f.Members[0]) == "/grants/pdx/shop shop-first-1\n/tombstones/first pdx"
		})
		f.Net.Heal()
		f.Await("nothing is left", time.Minute, func() bool { return granted(f.Members[0]) == "" })
	})
}

func TestAClusterThatIsRemovedHoldsUpNoDeletion(t *testing.T) {
	shopFleet(t, func(t *testing.T, f *sim.Fleet) {
		away := f.Members[4]
		away.Isolate()
		time.Sleep(missed)
		bury(t, f.Leader())
		f.Await("only it is left on the tombstone", time.Minute, func() bool { return strings.HasSuffix(granted(f.Members[0]), "/tombstones/first pdx") })
		remove(t, f.Leader(), away.Name)
		f.Await("nothing is left", time.Minute, func() bool { return granted(f.Members[0]) == "" })
	})
}

func TestALeaderThatIsKilledInTheMiddleLeavesNothingHalf(t *testing.T) {
	shopFleet(t, func(t *testing.T, f *sim.Fleet) {
		old := f.Leader()
		bury(t, old)
		old.Isolate()
		time.Sleep(5 * time.Second)
		f.Net.Heal()
		f.Await("nothing is left", time.Minute, func() bool { return granted(f.Members[1]) == "" })
	})
}
