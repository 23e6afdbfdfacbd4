package law

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestOrdersAreWithinBounds(t *testing.T) {
	for name, c := range map[string]struct {
		say  func(*v1alpha1.RolloutOrders)
		want bool
	}{
		"none":                     {func(*v1alpha1.RolloutOrders) {}, true},
		"up to the last stop":      {func(o *v1alpha1.RolloutOrders) { o.Resumed = 3 }, true},
		"a stop to come":           {func(o *v1alpha1.RolloutOrders) { o.Resumed = 4 }, false},
		"a stop before the first":  {func(o *v1alpha1.RolloutOrders) { o.Resumed = -1 }, false},
		"clusters, and no domain":  {func(o *v1alpha1.RolloutOrders) { o.Despite, o.Approved = []string{"a", "b"}, []string{""} }, true},
		"a stage twice":            {func(o *v1alpha1.RolloutOrders) { o.Stages = []string{"prod", "prod"} }, false},
		"one twice":                {func(o *v1alpha1.RolloutOrders) { o.Despite = []string{"a", "b", "a"} }, false},
		"a gate twice":             {func(o *v1alpha1.RolloutOrders) { o.DespiteGates = []string{"errors", "errors"} }, false},
		"a name without end":       {func(o *v1alpha1.RolloutOrders) { o.Without = []string{strings.Repeat("x", 254)} }, false},
		"more than a fleet can be": {func(o *v1alpha1.RolloutOrders) { o.Approved = many(maxOrdered + 1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Stops: 3}}
			c.say(&r.Spec.Orders)
			if got := bounded(r); got != c.want {
				t.Errorf("bounded: %v", got)
			}
		})
	}
}

func many(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(i))
	}
	return names
}

func TestOrdersThatSayOneThingTwiceAreNone(t *testing.T) {
	for orders, want := range map[string]bool{
		`{"paused":true}`:                true,
		`{"paused":true,"paused":false}`: false,
	} {
		if _, _, ok := orderless(ordered(orders)); ok != want {
			t.Errorf("%.60s: %v", orders, ok)
		}
	}
}

func TestOrdersAreOfABoundedSizeAfterwards(t *testing.T) {
	large := ordered(`{"later":"` + strings.Repeat("x", maxOrders) + `"}`)
	for name, c := range map[string]struct {
		before, after []byte
		want          bool
	}{
		"small, and stay so":         {ordered(`{}`), ordered(`{"paused":true}`), true},
		"they grow beyond it":        {ordered(`{}`), large, false},
		"they were, and get smaller": {large, ordered(`{"aborted":true}`), true},
	} {
		w := write{op: store.Put(v1alpha1.KeyRollouts+"a", c.after), before: c.before, asker: asker{role: v1alpha1.RoleOperator, rights: v1alpha1.RightsAdmin}}
		if got := w.orders(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func ordered(orders string) []byte {
	return fmt.Appendf(nil, `{"metadata":{},"spec":{"orders":%s}}`, orders)
}

func TestAMembersOwnBundleDoesNotKeepItsFaultDomainForLong(t *testing.T) {
	const bundle = `{"kind":"Bundle","metadata":{"name":"a"},"spec":{"rollout":%s}}`
	for rollout, want := range map[string]bool{
		`{}`:                           true,
		`{"soak":"10m0s"}`:             true,
		`{"soak":"10m1s"}`:             false,
		`{"soak":"-1s"}`:               false,
		`{"progressDeadline":"1h0m"}`:  true,
		`{"progressDeadline":"1h1m"}`:  false,
		`{"progressDeadline":"10s"}`:   true,
		`{"progressDeadline":"9s"}`:    false,
		`{"progressDeadline":"0s"}`:    false,
		`{"soak":"1s","SOAK":"9000h"}`: false,
		`{"stages":[{"name":"a"}]}`:    false,
		`{"windows":[{}]}`:             false,
		`{"gates":[{}]}`:               false,
	} {
		w := write{op: store.Put(v1alpha1.KeyBundles+"a", fmt.Appendf(nil, bundle, rollout)), read: bundles{}}
		if got := w.soonOver(); got != want {
			t.Errorf("%s: %v", rollout, got)
		}
	}
}
