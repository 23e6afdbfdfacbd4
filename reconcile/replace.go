package reconcile

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/plan"
)

// refusedChange is what comes of an object that the cluster did not let be changed.
func (b *bundle) refusedChange(ctx context.Context, o *object, refused error) outcome {
	if fields, _ := plan.Immutable(refused); len(fields) == 0 || !plan.Replaces(o.manifest) {
		return outcome{err: refused}
	}
	return b.replace(ctx, o, refused)
}

// replace deletes an object to make room for what the bundle says. It is made anew once it is gone: whatever comes in between, an
// object of the bundle that is not there is made.
func (b *bundle) replace(ctx context.Context, o *object, refused error) outcome {
	resource := b.resource(o)
	live, err := resource.Get(ctx, o.key.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return b.create(ctx, o)
	case err != nil:
		return outcome{err: err}
	}
	seen := sight(live)
	if seen.deleting {
		return outcome{seen: &seen, leaving: true}
	}
	why, err := b.whyNotReplaced(ctx, o, live, refused)
	if err != nil {
		return outcome{err: err}
	}
	if why != "" {
		return outcome{problem: problem{ReasonRefused, keptMessage(problemText(o.gvk.GroupKind(), refused), why)}}
	}
	err = resource.Delete(ctx, o.key.name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &seen.uid, ResourceVersion: &seen.version},
		PropagationPolicy: new(metav1.DeletePropagationForeground), // or what is made anew could meet the pods of what was
	})
	if ignoreGone(err) != nil {
		return outcome{err: err}
	}
	b.logger.Info("deleted to be made anew", logObject, o.key.String())
	return outcome{leaving: true, replaced: true}
}

// whyNotReplaced says what speaks against deleting an object that cannot be changed; "" when nothing does.
func (b *bundle) whyNotReplaced(ctx context.Context, o *object, live *unstructured.Unstructured, refused error) (string, error) {
	if !mayDelete(sight(live), b.inv.entries[o.key], b.label) {
		return "it is not surely of this bundle", nil
	}
	if why := plan.WhyKept(o.manifest, live, refused); why != "" {
		return why, nil
	}
	trial, err := o.trial(b.name, live)
	if err != nil {
		return err.Error(), nil
	}
	_, err = b.resource(o).Create(ctx, trial, metav1.CreateOptions{FieldManager: FieldManager, DryRun: []string{metav1.DryRunAll}})
	switch {
	case err == nil:
		return "", nil
	case isAway(err):
		return "", err
	}
	return "the cluster would not take it: " + problemText(o.gvk.GroupKind(), err), nil
}

// keptMessage says why an object that could be replaced is not.
func keptMessage(refused, why string) string {
	const between = "; it is not deleted to be made anew: "
	why = clip(why, maxMessage/2)
	return clip(refused, maxMessage-len(between)-len(why)) + between + why
}
