package keep

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/plan"
)

// onlooker is a member that looks at the key of the group readers, which others are to keep.
type onlooker struct {
	*Keeper
	t  *testing.T
	v  *store.View
	g  *v1alpha1.RecipientGroup
	of plan.Candidates
}

// waiting is a member that holds the key and waits for others. The first of these holds it, too.
func waiting(t *testing.T, c Holder, others ...Holder) *onlooker {
	t.Helper()
	w := &onlooker{Keeper: keeperOf(c), t: t, v: sealedState(t, c, func(*v1alpha1.FleetSecret) {})}
	var err error
	if w.g, err = decoded.GroupAt(w.v, "readers"); err != nil {
		t.Fatal(err)
	}
	w.g.Spec.ClusterSelector = &metav1.LabelSelector{}
	for _, c := range append(others, c) {
		w.of.Clusters = append(w.of.Clusters, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: c.Cluster}, Status: v1alpha1.ClusterStatus{Recipient: c.recipient()}})
	}
	w.wrap(others[0].Cluster, others[0].recipient(), "")
	return w
}

// wrap adds one of the key.
func (w *onlooker) wrap(cluster, recipient, by string) {
	w.g.Status.Wraps = append(w.g.Status.Wraps, v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(recipient), Epoch: 1, Wrap: []byte("wrapped"), By: by})
}

// passesOver looks, waits for somebody, and says whether a cluster is passed over.
func (w *onlooker) passesOver(cluster string) bool {
	w.t.Helper()
	o := decoded.Object[v1alpha1.RecipientGroup]{Key: v1alpha1.KeyRecipientGroups + "readers", Value: w.g.DeepCopy()}
	waits, err := w.keepKey(w.t.Context(), w.v, o, w.of, func(string) bool { return true })
	if err != nil || !waits {
		w.t.Fatalf("it waits for nobody: %v", err)
	}
	return w.turnsOf(o).Stuck(cluster, time.Now())
}

// TestWhoWrapsAKeyForOneAfterAnotherIsNotPassedOver: there is always one that lacks it, and it is never the same.
func TestWhoWrapsAKeyForOneAfterAnotherIsNotPassedOver(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		w := waiting(t, keyHolder(t, "fra"), keyHolder(t, "ams"))
		for i := range 5 {
			last := keyHolder(t, "").recipient()
			w.of.Fleet.RecoveryRecipients = append(w.of.Fleet.RecoveryRecipients, last)
			if w.passesOver("ams") {
				t.Fatalf("it is passed over when the recipient number %d joins", i+1)
			}
			time.Sleep(plan.TurnPatience / 2)
			w.wrap("", last, "fra")
		}
		w.of.Fleet.RecoveryRecipients = append(w.of.Fleet.RecoveryRecipients, keyHolder(t, "").recipient())
		if w.passesOver("ams") {
			t.Error("it is passed over as soon as the last one joins")
		}
		time.Sleep(plan.TurnPatience)
		if !w.passesOver("ams") {
			t.Error("it is waited for, and does nothing any more")
		}
	})
}

// TestWhoWrapsAKeyOnceMoreIsPassedOverWhenItStops: it is not as long as it does so for one recovery recipient after another.
func TestWhoWrapsAKeyOnceMoreIsPassedOverWhenItStops(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		w := waiting(t, keyHolder(t, "iad"), keyHolder(t, "ams"), keyHolder(t, "fra"))
		w.wrap("fra", w.of.Clusters[1].Status.Recipient, "")
		for range 5 {
			recipient := keyHolder(t, "").recipient()
			w.of.Fleet.RecoveryRecipients = append(w.of.Fleet.RecoveryRecipients, recipient)
			w.wrap("", recipient, "ams")
		}
		for i := range 4 {
			if w.passesOver("fra") {
				t.Fatalf("it is passed over when it has done so %d times", i)
			}
			time.Sleep(plan.TurnPatience / 2)
			w.g.Status.Wraps[3+i].Second = &v1alpha1.SecondWrap{By: "fra", Wrap: []byte("wrapped")}
		}
		if w.passesOver("fra") {
			t.Error("it is passed over as soon as one is left")
		}
		time.Sleep(plan.TurnPatience)
		if !w.passesOver("fra") {
			t.Error("it is waited for, and does nothing any more")
		}
	})
}

// TestNobodyIsPassedOverForALossOfQuorum: nobody can write, however much there is to do.
func TestNobodyIsPassedOverForALossOfQuorum(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		g := decoded.Object[v1alpha1.RecipientGroup]{Key: v1alpha1.KeyRecipientGroups + "readers", Value: &v1alpha1.RecipientGroup{}}
		k := keeperOf(keyHolder(t, "fra"))
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
			k.waitsFor(g, "key", map[string]int{"ams": 1})
			if stuck := k.turnsOf(g).Stuck("ams", time.Now()); stuck != look.stuck {
				t.Errorf("look %d: ams is passed over: %v", i+1, stuck)
			}
		}
	})
}
