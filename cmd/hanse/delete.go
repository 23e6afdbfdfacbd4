package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func deleteVerb() *cli.Command {
	return &cli.Command{
		Name:  "delete",
		Usage: "delete objects of the fleet; a bundle is withdrawn from its clusters",
		UsageText: `hanse delete KIND NAME…
hanse delete KIND/NAME…

What a bundle has in clusters goes when a person has said so: with --yes, by typing its name, or later with
rollout approve BUNDLE --deletions. Little goes at once: see spec.rollout.deletions of the Fleet.`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.BoolFlag{Name: "wait", Usage: "wait until every cluster has withdrawn it; --timeout is then 5m by default"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "a bundle's objects may go from its clusters; do not ask"},
			&cli.BoolFlag{Name: "dry-run", Usage: "let the member check it, and change nothing"},
			&cli.BoolFlag{Name: "ignore-not-found", Usage: "what is not there is deleted"},
		),
		Action: deleteAction,
	}
}

func deleteAction(c *cli.Context) error {
	k, names, err := objectsNamed(c.Args().Slice())
	switch {
	case err != nil:
		return during("delete", err)
	case len(names) == 0:
		return during("delete", usage("which "+k.singular()+"?", hint{"see what there is", "get " + k.plural}))
	case k.name == "Cluster":
		return during("delete", usage("a cluster is removed, not deleted: its member is cut off at once", hint{"do it with", "remove " + names[0]}))
	}
	f, err := connect(c, unwarned{c.App.ErrWriter})
	if err != nil {
		return during("delete", err)
	}
	a := applier{c: c, fleet: f}
	ctx, cancel := a.bounded()
	defer cancel()
	for _, name := range names {
		if err := deleteOne(ctx, c, f, k, name); err != nil {
			return during("delete "+k.singular()+" "+name, err)
		}
	}
	return nil
}

// unwarned drops the warning that this verb says itself, or sees to with --yes.
type unwarned struct{ io.Writer }

func (u unwarned) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("is deleted, but what clusters run of it stays until a person approves")) {
		return len(line), nil
	}
	return u.Writer.Write(line)
}

func deleteOne(ctx context.Context, c *cli.Context, f *fleet, k kind, name string) error {
	begun := time.Now()
	rolled := v1alpha1.RolledOut{Kind: k.name, Name: name}
	leaves := v1alpha1.IsRolledOut(k.name) && !c.Bool("dry-run")
	if leaves && !c.Bool("yes") && isTerminal(c.App.Reader) {
		if err := typedName(c, "this deletes all that "+rolled.Title()+" has in its clusters", name); err != nil {
			return err
		}
	}
	r := request{verb: "DELETE", path: k.path(name)}
	if c.Bool("dry-run") {
		r.query = map[string][]string{"dryRun": {"All"}}
	}
	body, err := f.write(ctx, r)
	if c.Bool("ignore-not-found") && isReason(err, "NotFound") {
		return nil
	}
	if err != nil {
		return err
	}
	what := "deleted" + atRevision(body)
	if c.Bool("dry-run") {
		what = "would be deleted"
	}
	fmt.Fprintln(c.App.Writer, k.singular(), name, what)
	if !leaves {
		return nil
	}
	err = f.withdrawAsSaid(ctx, rolled.String(), uidIn(body), c.Bool("yes") || isTerminal(c.App.Reader))
	if held := (*failure)(nil); !c.Bool("wait") && errors.As(err, &held) && held.code == exitDiffers {
		held.print(c.App) // it is deleted all the same
		return nil
	}
	if err != nil || !c.Bool("wait") {
		return err
	}
	return f.reach(ctx, c.App.ErrWriter, begun, []goal{{bundle: rolled.String()}})
}

// uidIn is of what an answer to a deletion tells.
func uidIn(body []byte) string {
	var answer struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
		Details struct {
			UID string `json:"uid"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	return cmp.Or(answer.Metadata.UID, answer.Details.UID)
}

// atRevision is " at revision 812" when the answer to a deletion says so.
func atRevision(body []byte) string {
	var h header
	if json.Unmarshal(body, &h) != nil || h.Metadata.ResourceVersion == "" {
		return ""
	}
	return " at revision " + h.Metadata.ResourceVersion
}
