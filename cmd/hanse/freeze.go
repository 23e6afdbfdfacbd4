package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func freezeVerb() *cli.Command {
	return &cli.Command{
		Name: "freeze", Usage: "let no change go further in the whole fleet", UsageText: `hanse freeze [REASON]`,
		Flags: connectionFlags(defaultTimeout),
		Action: func(c *cli.Context) error {
			return freeze(c, "freeze", &v1alpha1.Freeze{Reason: strings.Join(c.Args().Slice(), " ")})
		},
	}
}

func unfreezeVerb() *cli.Command {
	return &cli.Command{
		Name: "unfreeze", Usage: "let changes go on after a freeze", UsageText: "hanse unfreeze",
		Flags:  connectionFlags(defaultTimeout),
		Action: func(c *cli.Context) error { return freeze(c, "unfreeze", nil) },
	}
}

// freeze writes the freeze into the one Fleet; nil takes it away.
func freeze(c *cli.Context, doing string, f *v1alpha1.Freeze) error {
	member, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	var fleets v1alpha1.FleetList
	if _, err := member.read(ctx, request{path: mustKind("Fleet").path()}, &fleets); err != nil {
		return during(doing, err)
	}
	if len(fleets.Items) != 1 {
		return during(doing, &failure{code: exitError, why: "the fleet's settings are not there"})
	}
	name := fleets.Items[0].Name
	patch := map[string]any{"spec": map[string]any{"rollout": map[string]any{"freeze": f}}}
	body, err := member.merge(ctx, request{path: mustKind("Fleet").path(name)}, patch)
	if err != nil {
		return during(doing, err)
	}
	state := "is frozen: what is granted goes on, and nothing more is granted"
	if f == nil {
		state = "is frozen no more"
	}
	fmt.Fprintf(c.App.Writer, "fleet %s %s%s\n", name, state, atRevision(body))
	return nil
}
