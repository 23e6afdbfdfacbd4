package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func rolloutVerb() *cli.Command {
	flags := func(more ...cli.Flag) []cli.Flag { return append(connectionFlags(defaultTimeout), more...) }
	return &cli.Command{
		Name:  "rollout",
		Usage: "see how a change goes through the fleet, and order how it goes on",
		UsageText: `hanse rollout status BUNDLE|ROLLOUT
hanse rollout pause|resume|abort|rollback BUNDLE|ROLLOUT
hanse rollout approve BUNDLE|ROLLOUT [STAGE|DOMAIN]
hanse rollout approve BUNDLE|ROLLOUT --deletions

BUNDLE is its newest rollout, and is approved or resumed only while it waits for that; ROLLOUT is this one and no other.`,
		Subcommands: []*cli.Command{
			{
				Name: "status", Usage: "show the waves of a bundle's newest rollout", UsageText: "hanse rollout status BUNDLE|ROLLOUT",
				Flags:  flags(&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "go on until it has ended"}),
				Action: rolloutStatusAction,
			},
			{Name: "pause", Usage: "grant no further wave of the change", UsageText: "hanse rollout pause BUNDLE|ROLLOUT", Flags: flags(), Action: ordering("pause", func(_ *cli.Context, r *v1alpha1.Rollout, _ string) error {
				r.Spec.Orders.Paused = true
				return nil
			})},
			{
				Name: "resume", Usage: "go on after a pause, a failure, a loss, or an abort", UsageText: "hanse rollout resume BUNDLE|ROLLOUT [--despite CLUSTER] [--despite-gate GATE]",
				Flags: flags(&cli.StringSliceFlag{Name: "despite", Usage: "whatever becomes of CLUSTER; repeatable"},
					&cli.StringSliceFlag{Name: "despite-gate", Usage: "whatever GATE says from now on; repeatable"}),
				Action: ordering("resume", resumeRollout, v1alpha1.RolloutAborted, v1alpha1.RolloutRolledBack),
			},
			{
				Name: "approve", Usage: "let it into a stage or a fault domain, or delete what it says it would",
				UsageText: "hanse rollout approve BUNDLE|ROLLOUT [STAGE|DOMAIN]\nhanse rollout approve BUNDLE|ROLLOUT --deletions",
				Flags: flags(&cli.BoolFlag{Name: "deletions", Usage: "let it delete what status shows, and no more"},
					&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}),
				Action: ordering("approve", approving()),
			},
			{Name: "abort", Usage: "end it where it is; what is not healthy is left as it is", UsageText: "hanse rollout abort BUNDLE|ROLLOUT", Flags: flags(), Action: ordering("abort", func(_ *cli.Context, r *v1alpha1.Rollout, _ string) error {
				r.Spec.Orders.Aborted = true
				return nil
			})},
			{
				Name: "all-at-once", Usage: "grant all waves now, whatever the fault domains", UsageText: "hanse rollout all-at-once BUNDLE|ROLLOUT",
				Flags:  flags(&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask; with the name of the rollout"}),
				Action: ordering("all-at-once", hurryRollout()),
			},
			{Name: "rollback", Usage: "make the bundle's content that of its last good revision", UsageText: "hanse rollout rollback BUNDLE|ROLLOUT", Flags: flags(), Action: rolloutRollbackAction},
		},
	}
}

// rolloutOf is the newest rollout of what somebody named, or the one of that name.
func (f *fleet) rolloutOf(ctx context.Context, word string) (*v1alpha1.Rollout, []v1alpha1.Rollout, error) {
	name, err := storedName(word)
	if err != nil {
		return nil, nil, err
	}
	newest, all, err := f.newestRollout(ctx, name)
	if err == nil && newest == nil {
		err = &failure{code: exitError, why: "it has no rollout", hints: []hint{{"see what there is", "get rollouts"}}}
	}
	return newest, all, err
}

// newestRollout is rolloutOf, nil when there is none; and all rollouts of the same bundle.
func (f *fleet) newestRollout(ctx context.Context, name string) (newest *v1alpha1.Rollout, all []v1alpha1.Rollout, err error) {
	var list v1alpha1.RolloutList
	if _, err := f.read(ctx, request{path: mustKind("Rollout").path()}, &list); err != nil {
		return nil, nil, err
	}
	of := func(bundle string) []v1alpha1.Rollout {
		return slices.DeleteFunc(slices.Clone(list.Items), func(r v1alpha1.Rollout) bool { return r.Spec.Bundle != bundle })
	}
	if all = of(name); len(all) > 0 {
		return newestOf(all), all, nil
	}
	i := slices.IndexFunc(list.Items, func(r v1alpha1.Rollout) bool { return r.Name == name })
	if i < 0 {
		return nil, nil, nil
	}
	return &list.Items[i], of(list.Items[i].Spec.Bundle), nil
}

// newestOf is the one that has not ended, or else the newest; nil when there is none.
func newestOf(all []v1alpha1.Rollout) *v1alpha1.Rollout {
	if len(all) == 0 {
		return nil
	}
	newest := slices.MaxFunc(all, func(a, b v1alpha1.Rollout) int {
		runs := func(r v1alpha1.Rollout) int {
			if r.Status.Phase.Ended() {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(runs(a), runs(b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), // which is of whole seconds
			cmp.Compare(a.Spec.Generation, b.Spec.Generation), cmp.Compare(a.Spec.Number, b.Spec.Number))
	})
	return &newest
}

// orderFunc says an order in a rollout, or refuses it; brings is what the rollout does, and who wrote that.
type orderFunc func(c *cli.Context, r *v1alpha1.Rollout, brings string) error

// ordering is the action of a verb that changes the orders of a rollout, one that has not ended, or has in one of those phases also.
func ordering(verb string, order orderFunc, also ...v1alpha1.RolloutPhase) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() < 1 {
			return during("rollout "+verb, usage("of which bundle?", hint{"see what there is", "get rollouts"}))
		}
		doing := "rollout " + verb + " " + c.Args().First()
		f, err := connect(c, c.App.ErrWriter)
		if err != nil {
			return during(doing, err)
		}
		ctx, cancel := withTimeout(c)
		defer cancel()
		brings := map[string]string{} // by rollout; it stays the same
		for look := 1; ; look++ {
			r, all, err := f.rolloutOf(ctx, c.Args().First())
			if err != nil {
				return during(doing, err)
			}
			if r.Status.Phase.Ended() && !slices.Contains(also, r.Status.Phase) {
				return during(doing, ended(r, all))
			}
			if brings[r.Name] == "" {
				brings[r.Name] = f.brings(ctx, r)
				continue // with the rollout as it is now
			}
			before := *r.Spec.Orders.DeepCopy()
			if err := order(c, r, brings[r.Name]); err != nil {
				return during(doing, err)
			}
			body, err := f.order(ctx, r)
			if isReason(err, metav1.StatusReasonConflict) && look < ordersTries {
				continue // somebody wrote it meanwhile
			}
			if err != nil {
				return during(doing, err)
			}
			fmt.Fprintf(c.App.Writer, "%s: %s ordered%s; it %s\n", r.Name, verb+letInto(before, r.Spec.Orders), atRevision(body), brings[r.Name])
			return nil
		}
	}
}

// ordersTries is how often an order is given anew when somebody else writes the rollout at the same time: the leader does so all the time.
const ordersTries = 20

// order writes the orders of a rollout as it was read, so that nobody's are lost who gives another at the same time.
func (f *fleet) order(ctx context.Context, r *v1alpha1.Rollout) ([]byte, error) {
	patch, err := ordersPatch(r)
	if err != nil {
		return nil, err
	}
	return f.merge(ctx, request{path: mustKind("Rollout").path(r.Name)}, patch)
}

// ordersPatch merges orders into a rollout that was not written since. A merge leaves alone what is left out, so that it is paused, or
// aborted, no more is said in full.
func ordersPatch(r *v1alpha1.Rollout) (map[string]any, error) {
	text, err := json.Marshal(r.Spec.Orders)
	if err != nil {
		return nil, err
	}
	orders := map[string]any{}
	if err := json.Unmarshal(text, &orders); err != nil {
		return nil, err
	}
	orders["paused"], orders["aborted"] = r.Spec.Orders.Paused, r.Spec.Orders.Aborted
	metadata := map[string]any{"resourceVersion": r.ResourceVersion}
	return map[string]any{"metadata": metadata, "spec": map[string]any{"orders": orders}}, nil
}

// resumeRollout says that what stopped it until now stops it no more.
func resumeRollout(c *cli.Context, r *v1alpha1.Rollout, _ string) error {
	for _, name := range c.StringSlice("despite-gate") {
		if !slices.Contains(gatesIn(r), name) {
			return noGate(r, name)
		}
	}
	if !isNamed(c, r) && !waitsForResume(r, c.StringSlice("despite")) {
		command := "resume " + r.Name
		for _, flag := range []string{"despite", "despite-gate"} {
			for _, name := range c.StringSlice(flag) {
				command += " --" + flag + " " + name
			}
		}
		return notAwaited(r, "it does not wait to be resumed", command)
	}
	o := &r.Spec.Orders
	o.Paused, o.Aborted, o.Resumed = false, false, r.Status.Stops
	o.Without = union(o.Without, r.Status.Lost)
	o.Despite = union(o.Despite, c.StringSlice("despite"))
	o.DespiteGates = union(o.DespiteGates, c.StringSlice("despite-gate"))
	return nil
}

// gatesIn are the names of a rollout's gates, those of its stages too.
func gatesIn(r *v1alpha1.Rollout) (names []string) {
	gates := r.Spec.Gates
	for _, s := range r.Spec.Stages {
		gates = slices.Concat(gates, s.Gates)
	}
	for _, g := range gates {
		names = append(names, g.Name)
	}
	return names
}

func noGate(r *v1alpha1.Rollout, name string) error {
	why := fmt.Sprintf("%s has no gate %s, and no other", r.Name, name)
	if gates := gatesIn(r); len(gates) > 0 {
		why = fmt.Sprintf("%s has no gate %s; it has %s", r.Name, name, few(gates))
	}
	return &failure{code: exitError, why: why, hints: []hint{{"see what they say", "rollout status " + r.Spec.Bundle}}}
}

// approveRollout lets a rollout into the stage, or the fault domain, of that name; without one, into the stage that waits.
func approveRollout(c *cli.Context, r *v1alpha1.Rollout) error {
	see := hint{"see what waits", "rollout status " + r.Spec.Bundle}
	name, wait := c.Args().Get(1), r.Status.Wait
	switch {
	case c.NArg() > 2:
		return usage("one stage or fault domain at a time", see)
	case c.NArg() == 1 && (wait == nil || wait.For != v1alpha1.WaitForApproval):
		return usage("into which stage or fault domain?", see)
	case c.NArg() == 1:
		name = cmp.Or(wait.Stage, wait.Domain)
	}
	o := &r.Spec.Orders
	stage := slices.ContainsFunc(r.Spec.Stages, func(s v1alpha1.RolloutStage) bool { return s.Name == name })
	domain := slices.ContainsFunc(r.Spec.Waves, func(w v1alpha1.Wave) bool { return w.Domain == name })
	if !stage && !domain {
		return &failure{code: exitError, why: fmt.Sprintf("%s has no stage %s, and no wave of it goes there", r.Name, name), hints: []hint{see}}
	}
	if !isNamed(c, r) && !awaitsApproval(r, name) {
		return notAwaited(r, "it does not wait to be let into "+name, "approve "+r.Name+" "+name)
	}
	if stage && domain { // one word is for one of them: the stage, if that is what waits
		stage = wait != nil && wait.Stage == name
		domain = !stage
	}
	if stage {
		o.Stages = union(o.Stages, []string{name})
	}
	if domain {
		o.Approved = union(o.Approved, []string{name})
	}
	return nil
}

// hurryRollout asks once. Nothing waits for this word, so whom nobody asks is to say which rollout is meant.
func hurryRollout() orderFunc {
	asked := ""
	return func(c *cli.Context, r *v1alpha1.Rollout, brings string) error {
		if c.Bool("yes") && !isNamed(c, r) {
			return usage("--yes goes with the name of the rollout: a newer one may have come unseen", hint{"see which it is", "rollout status " + r.Spec.Bundle}, hint{"if that is meant", "rollout all-at-once " + r.Name + " --yes"})
		}
		if asked != r.Name {
			warning := fmt.Sprintf("this grants %s in every fault domain at once, unseen; it %s", r.Name, brings)
			if err := typedName(c, warning, r.Spec.Bundle); err != nil {
				return err
			}
			asked = r.Name
		}
		r.Spec.Orders.AllAtOnce = true
		return nil
	}
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
