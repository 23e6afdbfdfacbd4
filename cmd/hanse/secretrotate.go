package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func secretRotateVerb() *cli.Command {
	return &cli.Command{
		Name: "rotate", Usage: "give a group another key, and have all that is sealed for it sealed again",
		UsageText: `hanse secret rotate db-readers

It is for admins, and ends when the group has the key. Nothing is rolled out: the values stay.`,
		Flags:  connectionFlags(defaultTimeout),
		Action: secretRotateAction,
	}
}

func secretRotateAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("secret rotate", usage("which group?", hint{"see which there are", "get recipientgroups"}))
	}
	name := strings.TrimPrefix(c.Args().First(), "recipientgroup/")
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during("secret rotate "+name, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	epoch, err := f.rotate(ctx, name)
	if err == nil {
		fmt.Fprintf(c.App.Writer, "group %s has its key %d; seal what is new to it: hanse seal --group %s\n", name, epoch, name)
	}
	return during("secret rotate "+name, err)
}

// rotate asks for another key of a group, and says which one it is when it is there.
func (f *fleet) rotate(ctx context.Context, name string) (epoch int64, err error) {
	g, err := f.recipientGroup(ctx, name)
	if err != nil {
		return 0, err
	}
	path := mustKind("RecipientGroup").path(name)
	next := map[string]any{"spec": map[string]any{"rotate": g.Spec.Rotate + 1}}
	if _, err := f.merge(ctx, request{path: path}, next); err != nil {
		return 0, err
	}
	for {
		var now v1alpha1.RecipientGroup
		if _, err := f.read(ctx, request{path: path}, &now); err == nil && now.Status.Epoch > g.Status.Epoch {
			return now.Status.Epoch, nil
		}
		if !wait(ctx, between) {
			return 0, &failure{code: exitUncertain, why: "it is asked for, and not made yet: a cluster that holds the present one makes it, and none that is there has so far", hints: []hint{{"see who holds it", "get recipientgroups"}}}
		}
	}
}
