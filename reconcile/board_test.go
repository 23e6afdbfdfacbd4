package reconcile

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func TestBoard(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		var calls int
		last := map[string]v1alpha1.WorkStatus{}
		b := newBoard(func(reports []Report) {
			calls++
			for _, r := range reports {
				last[r.Bundle] = r.Status
			}
		}, 100*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.run(ctx)
		}()
		settle := func() { time.Sleep(time.Second); synctest.Wait() }
		fine := ready{metav1.ConditionTrue, reasonReady, ""}

		b.expect([]Grant{{Bundle: "shop", BundleUID: "1"}})
		settle()
		if s := last["shop"]; s.Health != v1alpha1.HealthUnknown || s.Conditions[0].Reason != reasonStarting {
			t.Errorf("before anything is known: %+v", s)
		}

		calls = 0
		for i := range 1000 {
			b.post("shop", "1", v1alpha1.WorkStatus{Applied: "r", Health: v1alpha1.HealthReady, ReadyObjects: int32(i)}, fine)
			time.Sleep(time.Millisecond)
		}
		settle()
		if calls > 12 || last["shop"].ReadyObjects != 999 {
			t.Errorf("%d reports in a second, the last with %d", calls, last["shop"].ReadyObjects)
		}
		since := last["shop"].Conditions[0].LastTransitionTime

		calls = 0
		b.post("shop", "1", v1alpha1.WorkStatus{Applied: "r", Health: v1alpha1.HealthReady, ReadyObjects: 999}, fine)
		b.post("shop", "an-earlier-bundle", v1alpha1.WorkStatus{}, fine)
		settle()
		if calls != 0 {
			t.Errorf("%d reports of nothing new", calls)
		}

		b.drift("shop", "1", v1alpha1.Drift{Manager: "x"}, true)
		b.drift("shop", "1", v1alpha1.Drift{Manager: "y"}, false)
		b.setAway(reasonUnreachable, "no route")
		settle()
		s := last["shop"]
		if s.Health != v1alpha1.HealthUnknown || s.Applied != "r" || s.DriftCorrected != 1 || s.LastDrift.Manager != "y" || s.Conditions[0].Message != "no route" {
			t.Errorf("away: %+v", s)
		}
		if s.Conditions[0].LastTransitionTime == since {
			t.Error("the transition has no time")
		}
		cancel()
		<-ended
	})
}

func TestLeaseIsFree(t *testing.T) {
	timing := DefaultTiming()
	of := func(holder, version string) *coordinationv1.Lease {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
		if holder != "" {
			l.Spec.HolderIdentity = &holder
		}
		return l
	}
	now := time.Unix(1000, 0)
	l := &lease{member: "me", timing: timing}
	for _, step := range []struct {
		name  string
		after time.Duration
		have  *coordinationv1.Lease
		want  bool
	}{
		{"nobody's is free", 0, of("", "1"), true},
		{"ours is free", 0, of("me", "1"), true},
		{"another's is not", 0, of("you", "1"), false},
		{"nor soon after", timing.LeaseDuration, of("you", "1"), false},
		{"nor when it was renewed meanwhile", time.Second, of("you", "2"), false},
		{"but when it was not", timing.LeaseDuration + time.Second, of("you", "2"), true},
	} {
		now = now.Add(step.after)
		if got := l.free(step.have, now); got != step.want {
			t.Errorf("%s: %v", step.name, got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration is taken")
	}
	if _, err := New(Config{Timing: Timing{RenewDeadline: time.Hour}}); err == nil {
		t.Error("a lease that is held longer than it lasts is taken")
	}
}

func TestMailboxNeverGrowsBeyondTheBundle(t *testing.T) {
	m := newMailbox()
	m.want(map[key]bool{{name: "mine"}: true})
	for i := range 1000 {
		m.touch(key{name: "mine"}, time.Unix(int64(i), 0))
		m.touch(key{name: fmt.Sprint(i)}, time.Unix(0, 0))
	}
	m.want(map[key]bool{{name: "mine"}: true, {name: "more"}: true})
	changed := m.changed()
	if len(changed) != 1 || changed[key{name: "mine"}] != time.Unix(0, 0) {
		t.Errorf("left: %v", changed)
	}
}
