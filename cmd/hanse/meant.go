package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// isNamed says that a person named just this rollout, and not what is rolled out, of which a newer rollout may have come that nobody has seen.
func isNamed(c *cli.Context, r *v1alpha1.Rollout) bool { return c.Args().First() == r.Name }

// awaitsApproval says that a rollout waits for a person at the stage, or the fault domain, of that name.
func awaitsApproval(r *v1alpha1.Rollout, name string) bool {
	w := r.Status.Wait
	return w != nil && w.For == v1alpha1.WaitForApproval && (w.Stage == name || w.Domain == name)
}

// waitsForResume says that a rollout stands until a person says to go on, or waits for one of some clusters.
func waitsForResume(r *v1alpha1.Rollout, despite []string) bool {
	o, s := r.Spec.Orders, r.Status
	waitedFor := func(w v1alpha1.WaveStatus) bool {
		return w.Open() && slices.ContainsFunc(w.Waiting, func(cluster string) bool { return slices.Contains(despite, cluster) })
	}
	return o.Paused || r.Stopped() || s.Phase.Ended() || s.Phase == v1alpha1.RolloutFailed || len(s.Lost) > 0 || s.Blocked != "" ||
		slices.ContainsFunc(s.Waves, waitedFor)
}

// notAwaited refuses a word that the newest rollout does not wait for: it may have come after what the person saw.
func notAwaited(r *v1alpha1.Rollout, why, command string) error {
	return &failure{code: exitError, why: fmt.Sprintf("its newest rollout is %s, %s: %s", r.Name, inWords(string(r.Status.Phase)), why), hints: []hint{
		{"see what it is, and who changed it", "rollout status " + r.Name},
		{"if it is meant all the same", "rollout " + command},
	}}
}

// ended refuses an order to a rollout that does nothing any more.
func ended(r *v1alpha1.Rollout, all []v1alpha1.Rollout) error {
	told := &failure{code: exitError, why: fmt.Sprintf("%s is %s", r.Name, inWords(string(r.Status.Phase)))}
	if newest := newestOf(all); newest.Name != r.Name {
		told.hints = []hint{{"see what took its place", "rollout status " + newest.Name}}
	}
	return told
}

// brings is what a rollout does to the clusters, and who wrote that, as far as it can be found out.
func (f *fleet) brings(ctx context.Context, r *v1alpha1.Rollout) string {
	rolled := v1alpha1.RolledOutOf(r.Spec.Bundle)
	if r.Spec.Revision == "" {
		return "withdraws " + rolled.Title() + f.writtenBy(ctx, rolled, func(c v1alpha1.Change) bool {
			return c.Spec.Verb == v1alpha1.ChangeDelete && c.Spec.UID == r.Spec.BundleUID
		})
	}
	var revision metav1.PartialObjectMetadata
	if _, err := f.read(ctx, request{path: mustKind("BundleRevision").path(r.Spec.Revision), accept: typeMetadata}, &revision); err != nil {
		return "brings " + r.Spec.Revision
	}
	return "brings " + r.Spec.Revision + f.writtenBy(ctx, rolled, func(c v1alpha1.Change) bool {
		return c.ResourceVersion == revision.ResourceVersion // one transaction wrote both
	})
}

// writtenBy is ", written by alice at 2030-01-02 03:04:05Z", of the newest change that is so; empty when none is remembered.
func (f *fleet) writtenBy(ctx context.Context, rolled v1alpha1.RolledOut, is func(v1alpha1.Change) bool) string {
	changes, _, err := f.changes(ctx, "spec.resource="+mustKind(rolled.Kind).plural, "spec.name="+rolled.Name)
	if err != nil {
		return ""
	}
	for _, c := range slices.Backward(changes) {
		if is(c) {
			return fmt.Sprintf(", written by %s at %s", who(c.Spec), moment(c.CreationTimestamp))
		}
	}
	return ""
}

// letInto is " prod" of orders that let a rollout into the stage, or the fault domain, prod, and did not before.
func letInto(before, after v1alpha1.RolloutOrders) (names string) {
	for _, name := range union(after.Stages, after.Approved) {
		if !slices.Contains(before.Stages, name) && !slices.Contains(before.Approved, name) {
			names += " " + name
		}
	}
	return names
}
