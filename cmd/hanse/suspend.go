package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func suspendVerb() *cli.Command {
	return &cli.Command{
		Name: "suspend", Usage: "stop reconciling a bundle, a secret, or a cluster, at once: nothing is written there, and drift is still told",
		UsageText: "hanse suspend bundle NAME [REASON]\nhanse suspend fleetsecret NAME [REASON]\nhanse suspend cluster NAME [REASON]",
		Flags:     connectionFlags(defaultTimeout),
		Action:    func(c *cli.Context) error { return suspend(c, "suspend") },
	}
}

func unsuspendVerb() *cli.Command {
	return &cli.Command{
		Name: "unsuspend", Usage: "reconcile a bundle, a secret, or a cluster, again", UsageText: `hanse unsuspend bundle NAME
hanse unsuspend fleetsecret NAME
hanse unsuspend cluster NAME

What was changed in clusters meanwhile is put right at once, where the bundle's drift is Correct. Where that is in several fault
domains, it is shown, and the name must be typed. To go by parts, suspend clusters before, and let them go on one after the other.`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "put right in several fault domains at once, do not ask"}),
		Action: func(c *cli.Context) error { return suspend(c, "unsuspend") },
	}
}

// suspend sets or takes away the annotation that stops reconciling.
func suspend(c *cli.Context, verb string) error {
	args := c.Args().Slice()
	first := min(len(args), 1)
	k, names, err := objectsNamed(args[:first])
	if err == nil && len(names) == 0 && len(args) > 1 {
		first, names = 2, args[1:2]
	}
	switch {
	case err != nil:
		return during(verb, err)
	case !v1alpha1.IsRolledOut(k.name) && k.name != "Cluster":
		return during(verb, usage("only bundles, secrets and clusters are suspended"))
	case len(names) != 1:
		return during(verb, usage("which "+k.singular()+"?", hint{"see what there is", "get " + k.plural}))
	case verb == "unsuspend" && len(args) > first:
		return during(verb, usagef("%s: one %s at a time", args[first], k.singular()))
	}
	var reason *string
	if verb == "suspend" {
		reason = new(strings.Join(args[first:], " "))
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(verb, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	what := k.singular() + " " + names[0]
	if v1alpha1.IsRolledOut(k.name) {
		what = v1alpha1.RolledOut{Kind: k.name, Name: names[0]}.Title()
	}
	if verb == "unsuspend" && v1alpha1.IsRolledOut(k.name) {
		if err := f.mayPutRight(ctx, c, v1alpha1.RolledOut{Kind: k.name, Name: names[0]}); err != nil {
			return during(verb+" "+what, err)
		}
	}
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationSuspended: reason}}}
	body, err := f.merge(ctx, request{path: k.path(names[0])}, patch)
	if err != nil {
		return during(verb+" "+what, err)
	}
	state, means := "suspended", ": nothing is written there, and what differs is told"
	if reason == nil {
		state, means = "reconciled again", ""
	}
	fmt.Fprintf(c.App.Writer, "%s is %s%s%s\n", what, state, atRevision(body), means)
	return nil
}
