package sim_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestTheLeadershipGoesWhereAPersonWantsItAndStays(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		spread(f, 3, map[string]int{"ap": 1, "eu": 2, "us": 1})
		lead := func(place string, auto bool) (v1alpha1.LeadAnswer, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			return f.Members[0].Core.Lead(ctx, apiserver.Asker{}, v1alpha1.LeadRequest{Place: place, Auto: auto})
		}
		for _, place := range []string{"us", "ap1", "us1"} {
			time.Sleep(5 * time.Second) // voters that are stable can lead
			a, err := lead(place, false)
			if err != nil || !strings.HasPrefix(a.To, place) {
				t.Fatalf("lead %s: %+v, %v", place, a, err)
			}
			t.Logf("from %s to %s after %d ms", a.From, a.To, a.TookMillis)
		}
		time.Sleep(2 * time.Minute)
		if l := f.Leader(); l.Name != "us1" {
			t.Errorf("%s leads after a while", l.Name)
		}
		idle := "mars"
		for _, c := range f.Leader().Core.Status().Clusters {
			if !c.Voter {
				idle = c.Name
			}
		}
		for _, place := range []string{idle, "mars"} {
			if a, err := lead(place, false); err == nil {
				t.Errorf("lead %s: %+v", place, a)
			}
		}
		f.CutRegion("us")
		f.Await("another region leads", time.Minute, func() bool { l := live(f, "us"); return writes(l, 1, time.Second) == nil })
		f.MendRegion("us")
		f.Await("the leadership returns", 2*time.Minute, func() bool { l := f.Leader(); return l != nil && l.Name == "us1" })
		if _, err := lead("", true); err != nil {
			t.Error(err)
		}
	})
}

// TestTheLeadershipGoesToTheNearestMajority has two regions that are near each other, and a leader far from both.
func TestTheLeadershipGoesToTheNearestMajority(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		const first = "10.0.0.1" // the founder
		f := sim.New(t, func(from, to string) time.Duration {
			if (from == first) != (to == first) {
				return 60 * time.Millisecond
			}
			return 5 * time.Millisecond
		})
		defer f.Close()
		spread(f, 3, map[string]int{"ap": 1, "eu": 1, "us": 1})
		far := f.Members[0]
		f.Await("the leadership has left the far region", 5*time.Minute, func() bool { l := f.Leader(); return l != nil && l != far })
		moved := f.Leader()
		time.Sleep(5 * time.Minute)
		if l := f.Leader(); l != moved {
			t.Errorf("it moved on from %s to %s", moved.Name, l.Name)
		}
		if err := writes(far, 1, 5*time.Second); err != nil {
			t.Error(err)
		}
		if timeout := far.Core.Node().Timeout(); timeout < 5*120*time.Millisecond {
			t.Errorf("a timeout of %s for round trips of 120 ms", timeout)
		}
	})
}

// TestTheTimeoutFollowsWhatIsMeasured restarts a fleet on a fast network, and then slows the network down.
func TestTheTimeoutFollowsWhatIsMeasured(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		var latency atomic.Int64
		latency.Store(int64(time.Millisecond))
		f := sim.New(t, func(_, _ string) time.Duration { return time.Duration(latency.Load()) })
		defer f.Close()
		spread(f, 3, map[string]int{"ap": 1, "eu": 1, "us": 1})
		time.Sleep(2 * time.Minute)
		timeouts := func(want func(time.Duration) bool) func() bool {
			return func() bool {
				for _, m := range f.Members {
					if !want(m.Core.Node().Timeout()) {
						return false
					}
				}
				return true
			}
		}
		for _, m := range f.Members { // one at a time: the lease is fixed for a life
			if err := m.Stop(); err != nil {
				t.Fatal(err)
			}
			m.Start()
			time.Sleep(10 * time.Second)
		}
		f.Await("all wait for 250 ms", 2*time.Minute, timeouts(func(d time.Duration) bool { return d == 250*time.Millisecond }))
		f.Await("a write", 10*time.Second, func() bool { return writes(live(f, ""), 1, time.Second) == nil })
		term := f.Leader().Core.Node().Status().Term
		latency.Store(int64(50 * time.Millisecond))
		f.Await("all wait for five round trips", 2*time.Minute, timeouts(func(d time.Duration) bool { return d >= 500*time.Millisecond }))
		time.Sleep(2 * time.Minute)
		if now := f.Leader().Core.Node().Status().Term; now != term {
			t.Errorf("term %d, and before %d: there was an election", now, term)
		}
	})
}

func TestMovingTheLeadershipKeepsWhatALaterVersionWrote(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		key := v1alpha1.KeyFleets + "sim"
		kv, _ := f.Members[0].Core.Store().View().Get(key)
		newer := strings.Replace(string(kv.Value), `"spec":{`, `"spec":{"tides":{"high":3},`, 1)
		if _, err := sim.Propose(t.Context(), f.Members[0].Core, key, []byte(newer)); err != nil {
			t.Fatal(err)
		}
		leader := f.Leader().Name
		var at [2]store.Revision
		for i := range at {
			a, err := f.Members[0].Core.Lead(t.Context(), apiserver.Asker{}, v1alpha1.LeadRequest{Place: leader})
			if err != nil || a.To != leader || a.Waits {
				t.Fatalf("%+v, %v", a, err)
			}
			kv, _ = f.Members[0].Core.Store().View().Get(key)
			at[i] = kv.Modified
		}
		if !strings.Contains(string(kv.Value), `"tides":{"high":3}`) || !strings.Contains(string(kv.Value), leader) {
			t.Errorf("the settings are %s", kv.Value)
		}
		if at[0] != at[1] {
			t.Error("what is so already was written again")
		}
	})
}
