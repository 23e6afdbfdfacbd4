package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

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
	if newest := newestOf(all); newest.Name != r.Name { // its change would go, too, which nobody asked for
		return during(doing, notAwaited(newest, "that would go, too", "rollback "+newest.Name))
	}
	good, rolled := lastGood(all, r), v1alpha1.RolledOutOf(r.Spec.Bundle)
	if good == "" {
		return during(doing, &failure{code: exitError, why: "no revision of it went through before", hints: f.saidBefore(ctx, rolled)})
	}
	written, err := f.putBack(ctx, c, rolled, good)
	if err != nil {
		return during(doing, err)
	}
	fmt.Fprintf(c.App.Writer, "%s has the content of %s at revision %s\n", rolled.Title(), good, written.GetResourceVersion())
	return nil
}

// lastGood is the newest revision of the bundle before a rollout's that went through, or ran everywhere when a newer one came; of one that takes a change back, unless it fails too, its
// own: that went through once, and is what the bundle does not say. Of one that is for who joined since a change was aborted, it is that change that
// is to go.
func lastGood(all []v1alpha1.Rollout, than *v1alpha1.Rollout) (revision string) {
	if aborted := abortedSince(all, than); aborted != nil {
		than = aborted
	}
	stopped := than.Status.Phase == v1alpha1.RolloutFailed || than.Status.Phase == v1alpha1.RolloutAborted
	if than.Spec.Undoes != "" && !stopped {
		return than.Spec.Revision
	}
	best := int64(0)
	for _, r := range all {
		sound := r.Status.Phase == v1alpha1.RolloutComplete || ranEverywhere(r)
		if sound && r.Spec.BundleUID == than.Spec.BundleUID && r.Spec.Generation < than.Spec.Generation && r.Spec.Generation > best {
			best, revision = r.Spec.Generation, r.Spec.Revision
		}
	}
	return revision
}

// abortedSince is the rollout of the newest change that a person aborted before a rollout: until the bundle changes, who joins gets what went through
// before, or that change itself once it did. nil: there is none, as of a rollout that withdraws the bundle.
func abortedSince(all []v1alpha1.Rollout, than *v1alpha1.Rollout) (aborted *v1alpha1.Rollout) {
	newest := than.Spec.Generation
	for _, r := range all {
		if r.Spec.BundleUID == than.Spec.BundleUID {
			newest = max(newest, r.Spec.Generation)
		}
	}
	for i := range all {
		r := &all[i]
		over := r.Status.Phase == v1alpha1.RolloutAborted && r.Spec.Orders.Aborted && r.Spec.BundleUID == than.Spec.BundleUID && r.Spec.Generation == newest
		since := than.Spec.Generation < newest || than.Spec.Number > r.Spec.Number
		if over && since && than.Spec.Generation != 0 && (aborted == nil || r.Spec.Number > aborted.Spec.Number) {
			aborted = r
		}
	}
	return aborted
}

// ranEverywhere says of a rollout that a newer one took the place of that all its clusters ran it then, healthy, and soaked at most.
func ranEverywhere(r v1alpha1.Rollout) bool {
	soaked := func(s v1alpha1.WaveStatus) bool {
		return s.Settled != nil || s.Healthy != nil && s.Failing == nil && s.Released.Equal(r.Status.Ended) // not given up before
	}
	waves := r.Status.Waves
	return r.Status.Phase == v1alpha1.RolloutSuperseded && len(waves) > 0 && !slices.ContainsFunc(waves, func(s v1alpha1.WaveStatus) bool { return !soaked(s) })
}

// saidBefore leads on where no revision went through: to what people wrote before, if that is remembered.
func (f *fleet) saidBefore(ctx context.Context, rolled v1alpha1.RolledOut) []hint {
	see := []hint{{"see how it was", "history " + rolled.Arg()}}
	p, err := f.past(ctx, mustKind(rolled.Kind), rolled.Name)
	if err != nil {
		return see
	}
	if before := p.lastOther(ctx); before != "" {
		see = append(see, hint{"or have it say what it said before", fmt.Sprintf("rollback %s --to %s", rolled.Arg(), before)})
	}
	return see
}

// mostLooks is how many changes are read to find one of the spec: what suspends, or labels, leaves that as it is.
const mostLooks = 20

// lastOther is the newest revision that is remembered at which the object's spec was another; "" when none is.
func (p *past) lastOther(ctx context.Context) (revision string) {
	now, err := p.present(ctx)
	if err != nil || now == nil {
		return ""
	}
	for i := len(p.changes) - 2; i >= max(0, len(p.changes)-1-mostLooks); i-- {
		before := p.changes[i]
		if !follows(before.Spec, p.changes[i+1].Spec) || before.Spec.Verb == v1alpha1.ChangeDelete {
			return ""
		}
		was, err := p.formAt(ctx, number(before.ResourceVersion))
		if err != nil || was == nil {
			return ""
		}
		if !reflect.DeepEqual(was["spec"], now["spec"]) {
			return before.ResourceVersion
		}
	}
	return ""
}

// putBack gives what is rolled out the content of one of its revisions, as hanse rollback does. Where a bundle goes, and how, stays.
func (f *fleet) putBack(ctx context.Context, c *cli.Context, rolled v1alpha1.RolledOut, revision string) (*unstructured.Unstructured, error) {
	r := rollback{past: &past{fleet: f, kind: mustKind(rolled.Kind), name: rolled.Name}}
	r.applier = applier{c: c, fleet: f, allow: plan.Allowance{Delete: math.MaxInt, PlainSecrets: true}} // Secrets were allowed once; what the bad change brought is to go
	var err error
	if r.shown, err = r.past.present(ctx); err != nil {
		return nil, err
	}
	if r.shown == nil {
		return nil, &failure{code: exitError, why: "it was deleted", hints: []hint{{"see how it was", "history " + rolled.Arg()}}}
	}
	var was unstructured.Unstructured
	if _, err := f.read(ctx, request{path: mustKind("BundleRevision").path(revision)}, &was.Object); err != nil {
		return nil, err
	}
	if r.was, err = withContent(r.shown, was.Object); err != nil {
		return nil, err
	}
	return r.write(ctx)
}

// withContent is a bundle, or a secret, with the content of a revision.
func withContent(is form, revision map[string]any) (form, error) {
	whole := maps.Clone(is)
	was, _ := revision["spec"].(map[string]any)
	if is["kind"] == "FleetSecret" { // its revision has the secret itself in the first manifest
		sealed, err := sealedIn(was)
		whole["spec"] = sealed
		return whole, err
	}
	now, _ := is["spec"].(map[string]any)
	spec := maps.Clone(was)
	for _, own := range []string{"bundle", "bundleUID", "generation"} {
		delete(spec, own)
	}
	for _, stays := range []string{"placement", "rollout"} {
		if now[stays] != nil {
			spec[stays] = now[stays]
		}
	}
	whole["spec"] = spec
	return whole, nil
}

// sealedIn is the spec of the secret that a revision has.
func sealedIn(revision map[string]any) (map[string]any, error) {
	manifests, _, _ := unstructured.NestedSlice(revision, "manifests")
	if len(manifests) > 0 {
		if manifest, ok := manifests[0].(map[string]any); ok && manifest["kind"] == "FleetSecret" {
			if spec, ok := manifest["spec"].(map[string]any); ok {
				return spec, nil
			}
		}
	}
	return nil, errors.New("the revision has no sealed secret in it")
}
