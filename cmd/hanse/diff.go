package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
)

func diffVerb() *cli.Command {
	return &cli.Command{
		Name:  "diff",
		Usage: "say what apply would change, in which clusters, field by field; exits 3 when that is anything",
		UsageText: `hanse diff -f FILE|FOLDER|-
hanse diff --bundle shop -f FOLDER
hanse diff --cluster fra -f FILE                          in this cluster only

Every cluster is asked, as you, what its objects would become: a dry run there. One that cannot be asked, and objects that you
may not ask about, are compared with what was granted, and that is said: then it exits 3, for what runs there is not known. Of a Cluster, a
RecipientGroup or a FleetSecret it says what would leave which clusters, and come to which.`,
		Flags: append(append(connectionFlags(defaultTimeout), changeFlags()...),
			&cli.StringSliceFlag{Name: "cluster", Usage: "of bundles: in the cluster NAME only; may be repeated"},
			&cli.BoolFlag{Name: "local", Usage: "ask no cluster: compare with what was granted"},
			outputFlag(formatTable, formatJSON),
		),
		Action: diffAction,
	}
}

func diffAction(c *cli.Context) error {
	todo, err := readChanges(c)
	if err != nil {
		return during("diff", err)
	}
	format, err := outputFormat(c, formatTable, formatJSON)
	if err != nil {
		return during("diff", err)
	}
	d := differ{c: c, given: todo, applier: applier{c: c, dryRun: true, allow: plan.Allowance{Delete: math.MaxInt, PlainSecrets: c.Bool("plain-secrets")}}}
	if d.fleet, err = connect(c, nil); err != nil {
		return during("diff", err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	if !c.Bool("local") {
		if d.reach, err = reachClusters(ctx, c); err != nil {
			d.say("no cluster is asked: " + err.Error())
		}
	}
	var all []difference
	d.then = nothingYet()
	for _, change := range todo {
		found, err := d.difference(ctx, change)
		if err != nil {
			return during("diff "+change.name, err)
		}
		all = append(all, found)
	}
	if err := d.move(ctx, all); err != nil {
		return during("diff", err)
	}
	if err := printDifferences(c.App.Writer, format, all); err != nil {
		return during("diff", err)
	}
	return differs(all, c.Bool("local"))
}

// differ is one run of diff.
type differ struct {
	applier
	c *cli.Context
	// reach is nil when no cluster is asked.
	reach *reach
	// given is all that is compared.
	given []change
	// then are the objects that say where others go.
	then wouldBe
}

func (d *differ) say(text string) { fmt.Fprintln(d.c.App.ErrWriter, escaped(text)) }

// difference is what one change would come to.
type difference struct {
	// Kind and Name are those of the object of the fleet.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Fate and Fields are what becomes of that object itself; empty when nothing does.
	Fate   compare.Fate    `json:"fate,omitempty"`
	Fields []compare.Field `json:"fields,omitempty"`
	// Clusters are what would be different in clusters, of a bundle.
	Clusters []prospect `json:"clusters,omitempty"`
	// Moves are what all changes of clusters, groups and secrets come to, together; they stand with the last of these. Nil where that was not asked.
	Moves *[]move `json:"moves,omitempty"`
	waves string
}

// prospect is what would be different in one cluster.
type prospect struct {
	Cluster string `json:"cluster"`
	// Loses says that the cluster has the bundle, and is to have it no more.
	Loses   bool             `json:"loses,omitempty"`
	Objects []compare.Object `json:"objects,omitempty"`
	// Orphans leave the bundle, and stay in the cluster.
	Orphans []v1alpha1.ObjectRef `json:"orphans,omitempty"`
	// Refused are objects that the cluster would not take.
	Refused []refusal `json:"refused,omitempty"`
	// Error is why the bundle cannot be rendered for the cluster.
	Error string `json:"error,omitempty"`
	// Granted says that the cluster itself was not asked.
	Granted bool `json:"comparedWithGrant,omitempty"`
	// Unasked are objects that whoever asks may not ask the cluster about.
	Unasked []refusal `json:"unasked,omitempty"`
}

// refusal is an object that a cluster would not take, and why.
type refusal struct {
	v1alpha1.ObjectRef
	Why string `json:"why"`
}

func (p prospect) differs() bool {
	return p.Loses || len(p.Objects)+len(p.Orphans)+len(p.Refused) > 0 || p.Error != ""
}

// difference lets the member say what the object would become, and finds out what that does in clusters.
func (d *differ) difference(ctx context.Context, ch change) (difference, error) {
	w, err := d.write(ctx, ch)
	if err != nil {
		return difference{}, err
	}
	found := difference{Kind: ch.kind.singular(), Name: ch.name}
	if w.before == nil {
		found.Fate = compare.Added
	} else if found.Fields = compare.Fields(*w.before, *w.after); len(found.Fields) > 0 {
		found.Fate = compare.Changed
	}
	if ch.kind.name != "Bundle" {
		if found.Fate != "" {
			err = d.then.take(ch.kind.name, w.after)
		}
		return found, err
	}
	// What is different in manifests is seen in the clusters.
	found.Fields = slices.DeleteFunc(found.Fields, func(f compare.Field) bool { return strings.HasPrefix(f.Path, "spec.manifests") })
	hideOverrides(found.Fields, w)
	var b v1alpha1.Bundle
	if err := fromMap(w.after.Object, &b); err != nil {
		return found, err
	}
	return found, d.inClusters(ctx, b, &found)
}

// move finds what the changes of clusters, groups and secrets move.
func (d *differ) move(ctx context.Context, all []difference) error {
	if d.then.empty() {
		return nil
	}
	moves, err := d.fleet.moves(ctx, d.then)
	if err != nil {
		return err
	}
	for i, found := range slices.Backward(all) {
		if found.Kind != "bundle" && found.Fate != "" {
			all[i].Moves = &moves
			return nil
		}
	}
	return nil
}

// hideOverrides hides what overrides say, when one of them is of Secrets.
func hideOverrides(fields []compare.Field, w written) {
	secret := false
	for _, u := range []*unstructured.Unstructured{w.before, w.after} {
		var b v1alpha1.Bundle
		if u == nil || fromMap(u.Object, &b) != nil {
			continue
		}
		for _, o := range b.Spec.Overrides {
			secret = secret || slices.ContainsFunc(o.Patches, func(p v1alpha1.Patch) bool { return p.Target.Kind == "Secret" })
		}
	}
	for i := range fields {
		if secret && strings.HasPrefix(fields[i].Path, "spec.overrides") {
			fields[i].Hide()
		}
	}
}

// differs is how diff ends when there is something to tell, or a cluster could not be asked whether there is, and was to be.
func differs(all []difference, local bool) error {
	if slices.ContainsFunc(all, func(d difference) bool {
		return d.Fate != "" || slices.ContainsFunc(d.Clusters, prospect.differs)
	}) {
		return &failure{code: exitDiffers}
	}
	var unasked []string
	for _, found := range all {
		for _, p := range found.Clusters {
			if !local && (p.Granted || len(p.Unasked) > 0) && !slices.Contains(unasked, p.Cluster) {
				unasked = append(unasked, p.Cluster)
			}
		}
	}
	if len(unasked) == 0 {
		return nil
	}
	return &failure{code: exitDiffers, doing: "diff", why: "it is as it was granted, but what runs is not known in " + few(unasked), hints: []hint{{words: "compare with what was granted alone: say --local"}}}
}
