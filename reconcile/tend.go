package reconcile

import (
	"context"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// heed judges the objects that events spoke of.
func (b *bundle) heed() {
	for k, at := range b.mail.changed() {
		o := b.wanted[k]
		if o == nil {
			b.leaving.next = time.Time{}
			continue
		}
		seen := b.s.tracker.get(k)
		if seen == nil && !o.going.IsZero() {
			o.retryAt = time.Time{}
		}
		switch judge(o.applied, seen, b.label, b.s.isGranted) {
		case repair:
			o.todo = putBack
			if o.since.IsZero() {
				o.since = at
			}
		case contested:
			o.todo, o.since = nothing, time.Time{}
			o.problem = problem{ReasonConflict, conflictMessage(*seen, b.label)}
		case leave:
			if o.todo == putBack && seen != nil && !seen.deleting {
				o.todo, o.since = nothing, time.Time{}
			}
		}
	}
}

// due are the objects to apply now.
func (b *bundle) due(now time.Time) []*object {
	var out []*object
	for _, o := range b.objects {
		switch o.todo {
		case nothing:
			continue
		case putBack:
			if o.pace.next().After(now) {
				continue
			}
			o.pace.note(now)
		case again:
			if o.retryAt.After(now) {
				continue
			}
		}
		out = append(out, o)
	}
	return out
}

// nextDue is when something is to be done without an event.
func (b *bundle) nextDue() (at time.Time, any bool) {
	sooner := func(t time.Time) {
		if !any || t.Before(at) {
			at, any = t, true
		}
	}
	for _, o := range b.objects {
		switch o.todo {
		case putBack:
			sooner(o.pace.next())
		case again:
			sooner(o.retryAt)
		case rollIn, restore:
			sooner(time.Time{})
		}
	}
	if b.phase == observing || b.isGivenUp() {
		return b.lookAt, true
	}
	if len(b.leaving.waiting) > 0 {
		sooner(b.leaving.next)
	}
	if b.phase == tending && len(b.grant.Gates) > 0 {
		sooner(b.gatesDue)
	}
	return at, any
}

// retryNow makes everything that failed due: a definition or namespace was applied, which may be what was missing.
func (b *bundle) retryNow() {
	for _, o := range b.objects {
		if o.todo == again && !o.isDefinition() {
			o.retry.reset()
			o.retryAt = time.Time{}
		}
	}
}

// usable says that all definitions that could be applied are established, and all namespaces active.
func usable(t *tracker, definitions []*object) bool {
	for _, o := range definitions {
		if o.problem.reason != "" {
			continue
		}
		if s := t.get(o.key); s != nil && s.status != status.CurrentStatus {
			return false
		}
	}
	return true
}

// checks says that the object is to be compared, not applied: by the policy Report, for what this revision applied
// before, unless a person ordered it to be put right.
func (b *bundle) checks(o *object) bool {
	if b.grant.Drift != v1alpha1.DriftReport || b.corrects(o) {
		return false
	}
	return o.applied != nil || b.resumed && b.inv.entries[o.key].uid != ""
}

// check finds out whether applying would change the object, and changes nothing.
func (b *bundle) check(ctx context.Context, o *object, live *unstructured.Unstructured) outcome {
	seen := sight(live)
	if b.claimOf(o, &seen) == foreign {
		if why, err := b.mayTake(ctx, o, seen); err != nil || why.reason != "" {
			return outcome{problem: why, err: err}
		}
	}
	if seen.deleting {
		return outcome{seen: &seen, leaving: true}
	}
	dry, err := b.patch(ctx, o, &seen, metav1.PatchOptions{Force: new(true), DryRun: []string{metav1.DryRunAll}})
	if plan.Replaces(o.manifest) && plan.WhyKept(o.manifest, live, err) == "" {
		return outcome{seen: &seen, differs: true, left: true, manager: seen.manager}
	}
	if err != nil {
		return outcome{err: err}
	}
	same := equality.Semantic.DeepEqual(content(live), content(dry))
	return outcome{seen: &seen, differs: !same, left: !same, manager: seen.manager}
}

// content is the object without what changes by itself.
func content(u *unstructured.Unstructured) map[string]any {
	c := u.DeepCopy()
	c.SetManagedFields(nil)
	c.SetResourceVersion("")
	c.SetGeneration(0)
	delete(c.Object, "status")
	return c.Object
}
