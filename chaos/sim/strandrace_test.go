package sim_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

// reader puts a cluster among those that the group picks, or takes it out.
func reader(name string, reads bool) func(*testing.T, *sim.Member) error {
	return func(t *testing.T, m *sim.Member) error {
		region := "eu"
		if !reads {
			region = "us"
		}
		return asksFor(t, m, v1alpha1.KeyClusters+name, func(c *v1alpha1.Cluster) { c.Labels[v1alpha1.LabelRegion] = region })
	}
}

// picks has the group pick all clusters in eu, or ams alone.
func picks(all bool) func(*testing.T, *sim.Member) error {
	return func(t *testing.T, m *sim.Member) error {
		return asksFor(t, m, readersKey, func(g *v1alpha1.RecipientGroup) {
			g.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "eu"}}
			if !all {
				g.Spec.ClusterSelector.MatchLabels["tier"] = "prod"
			}
		})
	}
}

// TestOneOfTwoThatTakeTheLastReadersAwayIsRefused: fra and ams hold a key. The member of ams lost its disk, and another one comes in its place, while an
// admin takes fra from the readers: whichever is decided first, the other is not, or nobody opens what is sealed.
func TestOneOfTwoThatTakeTheLastReadersAwayIsRefused(t *testing.T) {
	for name, change := range map[string]struct {
		leave, undo func(*testing.T, *sim.Member) error
	}{
		"by a label":    {reader("fra", false), reader("fra", true)},
		"by a selector": {picks(false), picks(true)},
	} {
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				f := sim.New(t, wide)
				defer f.Close()
				sealedForEu(t, f)
				iad, ams := f.Members[1], f.Members[3]
				labelled(t, iad, "ams") // what the narrow selector picks
				left, replaced := 0, 0
				for offset := time.Duration(0); offset <= 600*time.Millisecond; offset += 60 * time.Millisecond {
					if ams.Running() {
						f.Await("fra and ams hold the key", 5*time.Minute, func() bool { return holders(t, iad, "ams", "fra") })
						ams.Kill()
						time.Sleep(15 * time.Second)
					}
					token, err := iad.Core.CreateToken(t.Context(), law.Terms{Cluster: "ams", Replace: true})
					if err != nil {
						t.Fatal(err)
					}
					refused := make(chan error, 1)
					go func() {
						time.Sleep(offset)
						refused <- change.leave(t, iad)
					}()
					fresh := f.Candidate("ams", "eu")
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					err = fresh.Enrol(ctx, token)
					cancel()
					why := <-refused
					f.Await("it is known", time.Minute, func() bool { return iad.Core.Store().View().Revision() >= f.Leader().Core.Store().View().Revision() })
					if s := law.SealedGroups(iad.Core.Store().View()); len(s) != 1 || len(s[0].Openers) == 0 {
						t.Fatalf("after %s nobody opens %+v; refused were %v and %v", offset, s, why, err)
					}
					switch {
					case err == nil:
						replaced++
						fresh.Start()
						ams = fresh
					case why == nil:
						left++
						if err := change.undo(t, iad); err != nil {
							t.Fatal(err)
						}
					default:
						t.Fatalf("after %s neither was done: %v and %v", offset, why, err)
					}
				}
				if left == 0 || replaced == 0 {
					t.Errorf("fra left %d times first, and ams was replaced %d times: that is no race", left, replaced)
				}
			})
		})
	}
}
