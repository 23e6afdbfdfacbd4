package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func drainVerb() *cli.Command {
	return &cli.Command{
		Name: "drain", Usage: "let what is in a cluster leave it, by rollouts, and nothing new come",
		UsageText: `hanse drain CLUSTER… [--reason TEXT]   shows what would leave, and asks
hanse drain CLUSTER --dry-run          shows what would leave
hanse drain CLUSTER --yes              without being asked

hanse uncordon CLUSTER ends it.`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
			reasonFlag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would leave, and change nothing"},
		),
		Action: drainAction,
	}
}

func drainAction(c *cli.Context) error {
	return eachCluster(c, "drain", func(f *fleet, cluster string) error {
		look, enough := withTimeout(c) // a person has longer
		leave, err := f.leavings(look, cluster)
		enough()
		if err != nil {
			return err
		}
		if c.Bool("dry-run") {
			printLeavings(c.App.Writer, cluster, leave)
			return nil
		}
		printLeavings(c.App.ErrWriter, cluster, leave)
		if err := agreed(c, cluster, len(leave)); err != nil {
			return err
		}
		ctx, cancel := withTimeout(c)
		defer cancel()
		said, err := f.setAvailability(ctx, cluster, v1alpha1.AvailabilityDrained, c.String("reason"))
		if err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, said)
		if len(leave) > 0 {
			fmt.Fprintf(c.App.ErrWriter, "see how far it is: hanse get works --field-selector spec.cluster=%s\nwhat takes a Namespace, a CustomResourceDefinition or a PersistentVolumeClaim with it waits for you: hanse status\n", cluster)
		}
		return nil
	})
}

// agreed asks a person at a terminal, when there is anything to lose.
func agreed(c *cli.Context, cluster string, bundles int) error {
	switch {
	case bundles == 0 || c.Bool("yes"):
		return nil
	case !isTerminal(c.App.Reader):
		return usage("nobody is there to ask: say --yes", hint{"see first what would leave", "drain " + cluster + " --dry-run"})
	}
	return typedName(c, "their objects are deleted in "+cluster, cluster)
}

// leaving is a bundle that would leave a cluster, and what becomes of it.
type leaving struct{ bundle, then string }

// leavings are the bundles that a cluster has and would lose.
func (f *fleet) leavings(ctx context.Context, cluster string) (all []leaving, err error) {
	var c v1alpha1.Cluster
	if _, err := f.read(ctx, request{path: mustKind("Cluster").path(cluster)}, &c); err != nil {
		return nil, err
	}
	c.Spec.Availability = v1alpha1.AvailabilityDrained
	then := nothingYet()
	then.clusters[cluster] = c
	bundles, err := f.allRolledOut(ctx)
	if err != nil {
		return nil, err
	}
	everywhere, err := f.everywhere(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range bundles {
		if !has(everywhere.works[b.Name][cluster]) {
			continue
		}
		ground := everywhere.of(b)
		before, err := plan.Place(b.Spec.Placement, ground)
		if err != nil {
			return nil, err
		}
		after, err := plan.Place(b.Spec.Placement, then.ground(ground))
		if err != nil {
			return nil, err
		}
		all = append(all, leaving{b.Name, becomes(b, before, after)})
	}
	return all, nil
}

// becomes says who has a bundle instead of the cluster that it leaves.
func becomes(b v1alpha1.Bundle, before, after plan.Decision) string {
	instead := slices.DeleteFunc(slices.Clone(after.Picked), func(name string) bool { return slices.Contains(before.Picked, name) })
	switch {
	case len(instead) > 0:
		return strings.Join(instead, ", ") + " gets it instead"
	case len(after.Picked) == 0:
		return "no cluster has it then"
	case len(b.Spec.Division) > 0:
		return fmt.Sprintf("what is divided goes to the %s that have it too", v1alpha1.Counted(len(after.Picked), "one cluster", "%d clusters"))
	case b.Spec.Placement.NumberOfClusters != nil && len(after.Picked) < int(*b.Spec.Placement.NumberOfClusters):
		return fmt.Sprintf("no other cluster can have it: %d instead of %d have it then", len(after.Picked), *b.Spec.Placement.NumberOfClusters)
	}
	return v1alpha1.Counted(len(after.Picked), "one cluster has it still", "%d clusters have it still")
}

func printLeavings(out io.Writer, cluster string, all []leaving) {
	if len(all) == 0 {
		fmt.Fprintf(out, "%s has no bundle, so nothing leaves it\n", cluster)
		return
	}
	fmt.Fprintf(out, "%s, by rollouts, one fault domain at a time\n", v1alpha1.Counted(len(all), "1 bundle leaves "+cluster, "%d bundles leave "+cluster))
	width := 0
	for _, l := range all {
		width = max(width, len(l.bundle))
	}
	for _, l := range all {
		fmt.Fprintf(out, "  %-*s  %s\n", width, l.bundle, l.then)
	}
}
