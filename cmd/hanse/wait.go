package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// applyAndWait makes every change, then follows what is rolled out of them until it is where it should be.
func (a *applier) applyAndWait(ctx context.Context, todo []change) error {
	begun := time.Now()
	var goals []goal
	for _, ch := range todo {
		applied, err := a.apply(ctx, ch)
		if err == nil && v1alpha1.IsRolledOut(ch.kind.name) {
			var g goal
			g, err = a.goal(ctx, v1alpha1.RolledOut{Kind: ch.kind.name, Name: ch.name}, applied)
			goals = append(goals, g)
		}
		if err != nil {
			return during("apply "+ch.name, err)
		}
	}
	if len(goals) == 0 {
		return nil
	}
	return during("apply "+bundleNames(goals), a.fleet.reach(ctx, a.c.App.ErrWriter, begun, goals))
}

// goal is where what is rolled out, as it was written, should be.
func (a *applier) goal(ctx context.Context, rolled v1alpha1.RolledOut, applied *unstructured.Unstructured) (goal, error) {
	b, err := a.asBundle(ctx, rolled, applied)
	if err != nil {
		return goal{}, err
	}
	ground, _, err := a.fleet.ground(ctx, *b)
	if err != nil {
		return goal{}, err
	}
	placed, err := plan.Place(b.Spec.Placement, ground)
	if err != nil {
		return goal{}, err
	}
	if len(placed.Picked) == 0 {
		fmt.Fprintf(a.c.App.ErrWriter, "%s picks no cluster of this fleet\n", rolled.Title())
	}
	revision := v1alpha1.RevisionName(rolled.String(), string(applied.GetUID()), applied.GetGeneration())
	return goal{bundle: rolled.String(), revision: revision, clusters: placed.Picked}, nil
}

// asBundle is what was applied, with its placement alone; of a secret its group says that.
func (a *applier) asBundle(ctx context.Context, rolled v1alpha1.RolledOut, applied *unstructured.Unstructured) (*v1alpha1.Bundle, error) {
	if rolled.IsSecret() {
		return a.fleet.rolledOut(ctx, rolled.String())
	}
	b := &v1alpha1.Bundle{}
	spec, _ := applied.Object["spec"].(map[string]any)
	err := fromMap(map[string]any{"metadata": applied.Object["metadata"], "spec": map[string]any{"placement": spec["placement"]}}, b)
	return b, err
}

// reach follows goals, shows how far they are, and fails when they were not reached.
func (f *fleet) reach(ctx context.Context, talk io.Writer, begun time.Time, goals []goal) error {
	p := newProgress(goals...)
	line := newProgressLine(talk, begun, len(goals))
	all := f.follow(ctx, p, line.show)
	line.finish(all)
	left := unfinished(all)
	switch by := p.superseded(); {
	case by != "":
		return &failure{code: exitDiffers, why: "a newer apply came in between: " + by}
	case len(left) == 0:
		return nil
	}
	why := missed(p, left)
	if ctx.Err() != nil {
		why += " after " + span(time.Since(begun))
	}
	hints := append(trouble(left), p.goesOn(left)...)
	return &failure{code: exitDiffers, why: why, hints: hints}
}

// goesOn says of each bundle that is not where it should be how its rollout stands, when that does not go on by itself.
func (p *progress) goesOn(left []standing) []hint {
	var all []hint
	for _, g := range p.goals {
		here := slices.ContainsFunc(left, func(s standing) bool { return s.bundle == g.bundle })
		r := p.rollouts[g.bundle]
		if why := standsBecause(r); here && why != "" {
			all = append(all, hint{fmt.Sprintf("it is written, and %s %s; see", r.Name, why), "rollout status " + g.bundle})
		}
	}
	if len(all) == 0 {
		all = append(all, hint{"it is written, and goes on; see", "get works"})
	}
	return all
}

// standsBecause: has stopped: it fails in sin. It is empty of a rollout that goes on by itself.
func standsBecause(r v1alpha1.Rollout) string {
	switch s := r.Status; {
	case s.Phase == v1alpha1.RolloutPending, s.Phase == v1alpha1.RolloutPaused:
		return "waits: " + s.Message
	case s.Back != "" && s.Phase == v1alpha1.RolloutFailed:
		return "is about to be taken back: " + s.Stopped
	case !stands(r):
		return ""
	case s.Phase == v1alpha1.RolloutRolledBack:
		return "was taken back: " + s.Stopped
	case s.Phase == v1alpha1.RolloutAborted:
		return "was aborted"
	default:
		return "has stopped: " + s.Message
	}
}

// missed: not there in iad; not gone from sin.
func missed(p *progress, left []standing) string {
	var absent, present []standing
	for _, s := range left {
		if p.wanted(s.place) {
			absent = append(absent, s)
		} else {
			present = append(present, s)
		}
	}
	var words []string
	if len(absent) > 0 {
		words = append(words, "not there in "+clusterNames(absent))
	}
	if len(present) > 0 {
		words = append(words, "not gone from "+clusterNames(present))
	}
	return strings.Join(words, "; ")
}

func clusterNames(all []standing) string {
	const few = 10
	var names []string
	for _, s := range all {
		names = append(names, s.cluster)
	}
	if rest := len(names) - few; rest > 0 {
		names = append(names[:few], fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(names, ", ")
}

func bundleNames(goals []goal) string {
	var names []string
	for _, g := range goals {
		names = append(names, g.bundle)
	}
	return strings.Join(names, ", ")
}
