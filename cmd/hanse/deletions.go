package main

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/plan"
)

const (
	// soonPause is how often a rollout is looked for that the leader is about to make, soon for how long, and forHint for how long
	// when only a hint hangs on it.
	soonPause = 50 * time.Millisecond
	soon      = 10 * time.Second
	forHint   = time.Second
)

// deletionsText is what a rollout would delete, and nobody has approved.
func deletionsText(d *v1alpha1.RolloutDeletions) (lines []string) {
	withdrawn := 0
	var clusters, objects []string
	for _, c := range d.Clusters {
		clusters = append(clusters, c.Name)
		if c.Withdrawn {
			withdrawn++
		}
	}
	lines = append(lines, fmt.Sprintf("it would delete %d of %d objects in %s, which waits for a person: %s", d.Objects, d.Of, clusterCount(len(clusters)), d.Reason))
	lines = append(lines, "clusters: "+few(clusters))
	if withdrawn > 0 {
		lines = append(lines, clusterCount(withdrawn)+" would lose all of it")
	}
	for _, ref := range d.First {
		objects = append(objects, plan.Name(ref))
	}
	return append(lines, "objects: "+few(objects))
}

// letDelete orders that a rollout may delete what it says, in the clusters and in the number that it says.
func letDelete(r *v1alpha1.Rollout) {
	said := maps.Clone(r.Spec.Orders.Deletions)
	if said == nil {
		said = map[string]int32{}
	}
	for _, c := range r.Status.Deletions.Clusters {
		said[c.Name] = c.Objects
	}
	r.Spec.Orders.Deletions = said
}

// approving asks for the bundle's name, and lets the rollout delete what was shown.
func approving() orderFunc {
	var shown *v1alpha1.RolloutDeletions
	return func(c *cli.Context, r *v1alpha1.Rollout, brings string) error {
		if !c.Bool("deletions") {
			return approveRollout(c, r)
		}
		if r.Status.Deletions == nil {
			return &failure{code: exitError, why: r.Name + " does not wait for that", hints: []hint{{"see what it waits for", "rollout status " + r.Spec.Bundle}}}
		}
		if !reflect.DeepEqual(shown, r.Status.Deletions) { // else somebody wrote something else of the rollout meanwhile
			shown = r.Status.Deletions
			lines := deletionsText(shown)
			for _, line := range append(lines[1:], r.Name+" "+brings) {
				fmt.Fprintln(c.App.ErrWriter, line)
			}
			if err := typedName(c, lines[0], r.Spec.Bundle); err != nil {
				return err
			}
		}
		letDelete(r)
		return nil
	}
}

// rolling waits for the rollout that a change brings about; nil when none comes in time.
func (f *fleet) rolling(ctx context.Context, bundle string, in time.Duration, is func(v1alpha1.Rollout) bool) (*v1alpha1.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, in)
	defer cancel()
	for {
		_, all, err := f.newestRollout(ctx, bundle)
		switch i := slices.IndexFunc(all, is); {
		case isReason(err, metav1.StatusReasonNotFound):
			return nil, nil
		case err != nil && ctx.Err() == nil:
			return nil, err
		case i >= 0:
			return &all[i], nil
		}
		if !pause.For(ctx, soonPause) {
			return nil, nil
		}
	}
}

// heldBack is what to say of a rollout that waits for a word about deletions.
func heldBack(r *v1alpha1.Rollout) *failure {
	lines := deletionsText(r.Status.Deletions)
	out := &failure{code: exitDiffers, why: "nothing is deleted yet: " + lines[0]}
	for _, line := range lines[1:] {
		out.hints = append(out.hints, hint{words: line})
	}
	out.hints = append(out.hints, hint{"if that is meant", "rollout approve " + r.Name + " --deletions"})
	return out
}

// deleteAsSaid lets the rollout of a change delete as many objects in each cluster as a person said with it, and no whole bundle.
func (f *fleet) deleteAsSaid(ctx context.Context, b *v1alpha1.Bundle, most int) error {
	is := func(r v1alpha1.Rollout) bool {
		return r.Spec.BundleUID == string(b.UID) && r.Spec.Generation == b.Generation
	}
	return f.asSaid(ctx, b.Name, soon, is, func(d *v1alpha1.RolloutDeletions) bool {
		return !slices.ContainsFunc(d.Clusters, func(c v1alpha1.ClusterDeletions) bool { return c.Withdrawn || int(c.Objects) > most })
	})
}

// withdrawAsSaid lets the rollout of a deleted bundle withdraw it, if a person said so, and else says that it waits.
func (f *fleet) withdrawAsSaid(ctx context.Context, bundle, uid string, said bool) error {
	within := forHint
	if said {
		within = soon
	}
	is := func(r v1alpha1.Rollout) bool { return r.Spec.BundleUID == uid && r.Spec.Revision == "" }
	return f.asSaid(ctx, bundle, within, is, func(*v1alpha1.RolloutDeletions) bool { return said })
}

// asSaid writes the word of a person who spoke of deletions in the same command as of the change, or says that the rollout waits.
func (f *fleet) asSaid(ctx context.Context, bundle string, within time.Duration, is func(v1alpha1.Rollout) bool, said func(*v1alpha1.RolloutDeletions) bool) error {
	for look := 1; ; look++ {
		r, err := f.rolling(ctx, bundle, within, is)
		switch {
		case err != nil || r == nil || r.Status.Deletions == nil:
			return err
		case !said(r.Status.Deletions):
			return heldBack(r)
		}
		letDelete(r)
		if _, err = f.order(ctx, r); !isReason(err, metav1.StatusReasonConflict) || look == ordersTries {
			return err
		}
	}
}
