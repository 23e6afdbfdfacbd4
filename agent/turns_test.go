package agent

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/plan"
)

// TestWhoWrapsAKeyForOneAfterAnotherIsNotPassedOver: there is always one that lacks it, and it is never the same.
func TestWhoWrapsAKeyForOneAfterAnotherIsNotPassedOver(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		fra, ams := keyHolder(t, "fra"), keyHolder(t, "ams")
		fra.now = time.Now
		v := sealedState(t, fra, func(*v1alpha1.FleetSecret) {})
		g, err := groupAt(v, "readers")
		if err != nil {
			t.Fatal(err)
		}
		g.Spec.ClusterSelector = &metav1.LabelSelector{}
		wrap := func(cluster, recipient string) {
			g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(recipient), Epoch: 1, Wrap: []byte("wrapped")})
		}
		wrap("ams", ams.age.Recipient().String())
		var of plan.Candidates
		for _, c := range []*Core{ams, fra} {
			of.Clusters = append(of.Clusters, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: c.self.Cluster}, Status: v1alpha1.ClusterStatus{Recipient: c.age.Recipient().String()}})
		}
		k := newKeyKeeper(fra)
		looks := func() (stuck bool) {
			t.Helper()
			o := object[v1alpha1.RecipientGroup]{key: v1alpha1.KeyRecipientGroups + "readers", value: g.DeepCopy()}
			waits, err := k.keepKey(t.Context(), v, o, of, func(string) bool { return true })
			if err != nil || !waits {
				t.Fatalf("fra waits for nobody: %v", err)
			}
			return k.turnsOf(o).Stuck("ams", time.Now())
		}
		for i := range 5 {
			last := keyHolder(t, "").age.Recipient().String()
			of.Fleet.RecoveryRecipients = append(of.Fleet.RecoveryRecipients, last)
			if looks() {
				t.Fatalf("it is passed over when the recipient number %d joins", i+1)
			}
			time.Sleep(plan.TurnPatience / 2)
			wrap("", last)
		}
		of.Fleet.RecoveryRecipients = append(of.Fleet.RecoveryRecipients, keyHolder(t, "").age.Recipient().String())
		if looks() {
			t.Error("it is passed over as soon as the last one joins")
		}
		time.Sleep(plan.TurnPatience)
		if !looks() {
			t.Error("it is waited for, and does nothing any more")
		}
	})
}

// TestNobodyIsPassedOverForALossOfQuorum: nobody can write, however much there is to do.
func TestNobodyIsPassedOverForALossOfQuorum(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		g := object[v1alpha1.RecipientGroup]{key: v1alpha1.KeyRecipientGroups + "readers", value: &v1alpha1.RecipientGroup{}}
		k := newKeyKeeper(keyHolder(t, "fra"))
		for i, look := range []struct {
			after time.Duration
			term  uint64
			led   bool
			stuck bool
		}{
			{0, 4, true, false},
			{plan.TurnPatience, 4, false, false},
			{plan.TurnPatience, 4, false, false},
			{time.Second, 4, true, false},
			{plan.TurnPatience, 4, true, true},
			{time.Second, 4, true, true},
			{time.Second, 4, false, false},
			{time.Second, 4, true, false},
			{plan.TurnPatience, 5, true, false}, // this member wrote itself meanwhile, and did not look
			{plan.TurnPatience, 5, true, true},
			{time.Second, 6, true, false},
		} {
			time.Sleep(look.after)
			k.timeTurns(look.term, look.led)
			k.waitsFor(g, "key", "ams", 1)
			if stuck := k.turnsOf(g).Stuck("ams", time.Now()); stuck != look.stuck {
				t.Errorf("look %d: ams is passed over: %v", i+1, stuck)
			}
		}
	})
}
