package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// waitingRollout withdraws shop from two clusters, when a person says so.
func waitingRollout() v1alpha1.Rollout {
	r := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Bundle: "shop", BundleUID: "b1"}}
	r.Name = "shop-b1-withdrawal"
	r.Status.Deletions = &v1alpha1.RolloutDeletions{Objects: 12, Of: 12, Reason: "6 of 6 objects go in fra, more than 20%",
		Clusters: []v1alpha1.ClusterDeletions{{Name: "fra", Objects: 6, Withdrawn: true}, {Name: "iad", Objects: 6, Withdrawn: true}}}
	return r
}

func TestWhoDeletesABundleIsToldWhatTheLeaderDecided(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	tomb := map[string]any{v1alpha1.KeyTombstones + "b1": v1alpha1.Tombstone{Bundle: "shop", BundleUID: "b1", Clusters: []string{"fra", "iad"}}}
	with := func(r v1alpha1.Rollout) map[string]any {
		return map[string]any{v1alpha1.KeyTombstones + "b1": tomb[v1alpha1.KeyTombstones+"b1"], v1alpha1.KeyRollouts + "shop-x": r}
	}
	goes, of, one := waitingRollout(), waitingRollout(), waitingRollout()
	goes.Status.Deletions, of.Spec.BundleUID = nil, "b0"
	one.Status.Deletions.Objects = 1
	for name, c := range map[string]struct {
		state map[string]any
		want  []string
	}{
		"it lies nowhere":               {nil, nil},
		"it goes by itself":             {with(goes), nil},
		"it waits":                      {with(waitingRollout()), []string{"bundle shop is deleted, but", "12 objects in fra, iad", "more than 20%", "to approve: hanse rollout approve shop-b1-withdrawal --deletions"}},
		"one of it waits":               {with(one), []string{"approves: 1 object in fra, iad"}},
		"nobody has decided":            {tomb, []string{"not decided yet", "hanse rollout status shop"}},
		"an earlier one's is not heard": {with(of), []string{"not decided yet"}},
	} {
		t.Run(name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				core := &Core{decoded: decoded.NewKinds(), store: storetest.Store(t, member, c.state)}
				began := time.Now()
				said := core.deletedRolledOut(t.Context(), v1alpha1.RolledOutOf("shop"), "b1")
				if len(c.want) == 0 && said != "" {
					t.Errorf("said %q", said)
				}
				for _, part := range c.want {
					if !strings.Contains(said, part) {
						t.Errorf("%q is not in %q", part, said)
					}
				}
				if waited := time.Since(began); waited > withdrawalSoon {
					t.Errorf("waited for %s", waited)
				}
			})
		})
	}
}

func TestPeopleOfAClusterAreToldWhatWaitsToBeDeletedThere(t *testing.T) {
	r, changed, ended, one := waitingRollout(), waitingRollout(), waitingRollout(), waitingRollout()
	one.Status.Deletions.Clusters[1].Objects = 1
	changed.Spec.Revision, ended.Status.Phase = "shop-b1-2", v1alpha1.RolloutComplete
	for name, c := range map[string]struct {
		rollout v1alpha1.Rollout
		cluster string
		want    string
	}{
		"of a deleted bundle":  {r, "iad", "bundle shop is deleted, but the 6 objects of this cluster"},
		"of a changed one":     {changed, "iad", "bundle shop is changed, but the 6 objects of this cluster"},
		"of one object":        {one, "iad", "bundle shop is deleted, but the object of this cluster that would go stays until"},
		"elsewhere":            {r, "sin", ""},
		"what waits no longer": {ended, "iad", ""},
	} {
		e := deletionEvent(&c.rollout, c.cluster)
		if c.want == "" {
			if e != nil {
				t.Errorf("%s: told %q", name, e.Note)
			}
			continue
		}
		if e == nil || !strings.HasPrefix(e.Note, c.want) || !strings.HasSuffix(e.Note, "hanse rollout approve shop-b1-withdrawal --deletions") || !e.Warning || e.Regarding.UID != "b1" {
			t.Errorf("%s: told %+v", name, e)
		}
	}
}
