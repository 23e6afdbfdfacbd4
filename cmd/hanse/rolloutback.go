package main

import (
	"context"
	"fmt"
	"maps"
	"math"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func rolloutRollbackAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("rollout rollback", usage("of which bundle?", hint{"see what there is", "get rollouts"}))
	}
	doing := "rollout rollback " + c.Args().First()
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	r, all, err := f.rolloutOf(ctx, c.Args().First())
	if err != nil {
		return during(doing, err)
	}
	good := lastGood(all, r)
	if good == "" {
		return during(doing, &failure{code: exitError, why: "no revision of it went through before", hints: []hint{{"see how it was", "history bundle/" + r.Spec.Bundle}}})
	}
	written, err := f.putBack(ctx, c, r.Spec.Bundle, good)
	if err != nil {
		return during(doing, err)
	}
	fmt.Fprintf(c.App.Writer, "bundle %s has the content of %s at revision %s\n", r.Spec.Bundle, good, written.GetResourceVersion())
	return nil
}

// lastGood is the newest revision of the bundle before a rollout's that went through; of one that takes a change back, unless it fails too, its
// own: that went through once, and is what the bundle does not say.
func lastGood(all []v1alpha1.Rollout, than *v1alpha1.Rollout) (revision string) {
	stopped := than.Status.Phase == v1alpha1.RolloutFailed || than.Status.Phase == v1alpha1.RolloutAborted
	if than.Spec.Undoes != "" && !stopped {
		return than.Spec.Revision
	}
	best := int64(0)
	for _, r := range all {
		sound := r.Status.Phase == v1alpha1.RolloutComplete && r.Spec.BundleUID == than.Spec.BundleUID
		if sound && r.Spec.Generation < than.Spec.Generation && r.Spec.Generation > best {
			best, revision = r.Spec.Generation, r.Spec.Revision
		}
	}
	return revision
}

// putBack gives a bundle the content of one of its revisions, as hanse rollback does. Where it goes, and how, stays.
func (f *fleet) putBack(ctx context.Context, c *cli.Context, bundle, revision string) (*unstructured.Unstructured, error) {
	r := rollback{past: &past{fleet: f, kind: mustKind("Bundle"), name: bundle}}
	r.applier = applier{c: c, fleet: f, allow: plan.Allowance{Delete: math.MaxInt, PlainSecrets: true}} // Secrets were allowed once; what the bad change brought is to go
	var err error
	if r.shown, err = r.past.present(ctx); err != nil {
		return nil, err
	}
	if r.shown == nil {
		return nil, &failure{code: exitError, why: "it was deleted", hints: []hint{{"see how it was", "history bundle/" + bundle}}}
	}
	var was unstructured.Unstructured
	if _, err := f.read(ctx, request{path: mustKind("BundleRevision").path(revision)}, &was.Object); err != nil {
		return nil, err
	}
	r.was = withContent(r.shown, was.Object)
	return r.write(ctx)
}

// withContent is a bundle with the content of a revision.
func withContent(bundle form, revision map[string]any) form {
	now, _ := bundle["spec"].(map[string]any)
	was, _ := revision["spec"].(map[string]any)
	spec := maps.Clone(was)
	for _, own := range []string{"bundle", "bundleUID", "generation"} {
		delete(spec, own)
	}
	for _, stays := range []string{"placement", "rollout"} {
		if now[stays] != nil {
			spec[stays] = now[stays]
		}
	}
	whole := maps.Clone(bundle)
	whole["spec"] = spec
	return whole
}
