package epoch

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// work is of the bundle shop in a cluster that has looked.
func work(cluster string, changes, deletions int32) v1alpha1.Work {
	return v1alpha1.Work{
		Spec: v1alpha1.WorkSpec{Bundle: "shop", Cluster: cluster, Wanted: "shop-2", Granted: "shop-1"},
		Status: v1alpha1.WorkStatus{
			Applied: "shop-1", Foreseen: &v1alpha1.Foresight{Changes: changes, Deletions: deletions}, Conditions: []metav1.Condition{{Reason: v1alpha1.ReasonObserving}},
		},
	}
}

func TestWhatAClusterWouldDoIsSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		wanted, granted, reason string
		changes, deletions      int32
		want                    v1alpha1.Would
	}{
		"nothing":                               {"shop-1", "shop-1", v1alpha1.ReasonObserving, 0, 0, v1alpha1.WouldKeep},
		"what it has changes":                   {"shop-1", "shop-1", v1alpha1.ReasonObserving, 1, 0, v1alpha1.WouldChange},
		"it is granted its first revision":      {"shop-2", "", v1alpha1.ReasonObserving, 0, 0, v1alpha1.WouldGrant},
		"a rollout goes on in the middle":       {"shop-2", "shop-1", v1alpha1.ReasonObserving, 0, 0, v1alpha1.WouldGrant},
		"what is not for it any more goes":      {"", "shop-1", v1alpha1.ReasonObserving, 0, 0, v1alpha1.WouldRemove},
		"and goes also when something newer is": {"", "shop-1", v1alpha1.ReasonOldGrant, 0, 0, v1alpha1.WouldRemove},
		"something newer stays":                 {"shop-2", "shop-1", v1alpha1.ReasonOldGrant, 0, 0, v1alpha1.WouldWait},
	} {
		w := work("fra", tt.changes, tt.deletions)
		w.Spec.Wanted, w.Spec.Granted, w.Status.Conditions[0].Reason = tt.wanted, tt.granted, tt.reason
		if got := prospectOf(w); got.Would != tt.want || got.Wanted != tt.wanted {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAClusterThatTheFleetDoesNotHaveIsRefused(t *testing.T) {
	v := looking(t, "fra")
	for name, known := range map[string]bool{"iad": true, "ia": false, "nrt": false} { // iad acts already
		_, err := Resume(v, nil, v1alpha1.ResumeRequest{Clusters: map[string]string{name: ""}}, v1alpha1.Resumption{})
		if refused := err != nil && strings.Contains(err.Error(), "no cluster "+name); refused == known {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAClusterActsAgainAsItWasShown(t *testing.T) {
	v := looking(t, "fra", "iad", "sin")
	shown := []v1alpha1.Work{work("fra", 1, 0), work("iad", 0, 0)}
	who := v1alpha1.Resumption{By: "anna", Through: "fra", At: noon.Time}
	p := Prospect(v, shown)
	for name, tt := range map[string]struct {
		named []string
		works []v1alpha1.Work
		acts  string
		want  string // of the refusal
	}{
		"all that have a member":               {nil, shown, "fra iad", ""},
		"one that is named":                    {[]string{"iad"}, shown, "iad", ""},
		"not one that has no member":           {[]string{"sin"}, shown, "", "sin has no member"},
		"not when something else would happen": {nil, []v1alpha1.Work{work("fra", 1, 1), shown[1]}, "", "what would happen in fra has changed since it was shown at revision"},
		"one whose prospect is as it was":      {[]string{"iad"}, []v1alpha1.Work{work("fra", 1, 1), shown[1]}, "iad", ""},
		"not when a bundle has come":           {nil, append(shown, work("iad", 3, 0)), "", "what would happen in iad"},
	} {
		t.Run(name, func(t *testing.T) {
			txn, err := Resume(v, tt.works, Go(p, tt.named...), who)
			if err != nil {
				if tt.want == "" || !strings.Contains(err.Error(), tt.want) || !errors.As(err, new(Refusal)) {
					t.Errorf("got %v", err)
				}
				return
			}
			if tt.want != "" {
				t.Fatalf("not refused: %+v", txn)
			}
			after := state(t, v, txn.Then...)
			var acts []string
			for _, name := range []string{"fra", "iad", "sin"} {
				if !Looks(after, name) {
					acts = append(acts, name)
				}
			}
			if diff := cmp.Diff(tt.acts, strings.Join(acts, " ")); diff != "" {
				t.Error(diff)
			}
			kv, _ := after.Get(v1alpha1.KeyObserving + acts[0])
			if o := read(kv); o.Resumed == nil || *o.Resumed != who || o.Reason != v1alpha1.ReasonRecovered {
				t.Errorf("the record is %s", kv.Value)
			}
			again, err := Resume(after, tt.works, Go(p, tt.named...), who)
			if err != nil || len(again.Then) != 0 {
				t.Errorf("said again: %+v, %v", again, err)
			}
		})
	}
	if _, err := Resume(v, shown, v1alpha1.ResumeRequest{Clusters: map[string]string{"rom": ""}}, who); err == nil || !strings.Contains(err.Error(), "no cluster rom") {
		t.Errorf("a stranger: %v", err)
	}
}

// What a person let go on is not written once something that says what would happen has changed, be it the group of a secret.
func TestAResumeRestsOnWhatItWasShownFrom(t *testing.T) {
	fra, shop := memberOf("fra"), v1alpha1.KeyBundles+"shop"
	for name, tt := range map[string]struct {
		meanwhile store.Op
		overtaken bool
	}{
		"a user is let in":           {put(t, v1alpha1.KeyUsers+"anna", v1alpha1.User{}), false},
		"a bundle changes":           {put(t, shop, v1alpha1.Bundle{}), true},
		"a secret changes":           {put(t, v1alpha1.KeyFleetSecrets+"db", v1alpha1.FleetSecret{}), true},
		"a group is of others":       {put(t, v1alpha1.KeyRecipientGroups+"prod", v1alpha1.RecipientGroup{}), true},
		"a cluster is relabelled":    {put(t, v1alpha1.KeyClusters+"iad", clusterOf("iad")), true},
		"a grant is given":           {put(t, v1alpha1.GrantKey("iad", "shop"), v1alpha1.Grant{}), true},
		"a bundle leaves a deletion": {put(t, v1alpha1.KeyTombstones+"u", v1alpha1.Tombstone{}), true},
	} {
		t.Run(name, func(t *testing.T) {
			s, index := store.New(nil), uint64(0)
			write := func(txn store.Txn) error {
				index++
				c := store.Command{ID: store.CommandID{Incarnation: fra.ID, Seq: index}, Proposer: fra.ID, Txn: &txn}
				entry, err := store.EncodeEntry([]store.Command{c})
				if err != nil {
					t.Fatal(err)
				}
				results, err := s.Apply(index, 1, entry)
				if err != nil {
					t.Fatal(err)
				}
				return results[0].Err
			}
			looks := put(t, v1alpha1.KeyObserving+"fra", v1alpha1.Observing{Reason: v1alpha1.ReasonRecovered})
			if err := write(store.Txn{Then: []store.Op{store.PutMember(fra), put(t, v1alpha1.KeyClusters+"fra", clusterOf("fra")), looks}}); err != nil {
				t.Fatal(err)
			}
			shown := []v1alpha1.Work{work("fra", 1, 0)}
			txn, err := Resume(s.View(), shown, Go(Prospect(s.View(), shown)), v1alpha1.Resumption{})
			if err != nil {
				t.Fatal(err)
			}
			if err := write(store.Txn{Then: []store.Op{tt.meanwhile}}); err != nil {
				t.Fatal(err)
			}
			last := write(txn)
			if overtaken := errors.As(last, new(*store.Conflict)); overtaken != tt.overtaken || last != nil && !overtaken {
				t.Errorf("after it: %v", last)
			}
		})
	}
}

func TestWhoOnlyLooksIsSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		v    *store.View
		want string
	}{
		"nobody":                      {fleet(t), ""},
		"all":                         {looking(t, "fra", "iad", "sin"), "the fleet only looks since it was recovered, and does nothing in any cluster; to see what it would do, and let it: hanse resume"},
		"some":                        {looking(t, "sin", "iad"), "since the fleet was recovered some clusters only look, and nothing is done in them: iad, sin; to see what would be done, and let it: hanse resume"},
		"one that is not there":       {looking(t, "sin"), "since the fleet was recovered some clusters only look, and nothing is done in them: sin; they must join again, then: hanse resume"},
		"by a record nobody can read": {state(t, fleet(t), store.Put(v1alpha1.KeyObserving+"fra", []byte("{"))), "since the fleet was restored some clusters only look, and nothing is done in them: fra; to see what would be done, and let it: hanse resume"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, OnlyLooks(tt.v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
