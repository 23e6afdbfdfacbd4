package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// watchEvery is how often status --watch asks.
const watchEvery = time.Second

// clearScreen lets a terminal begin anew, at the top.
const clearScreen = "\x1b[H\x1b[2J"

func statusVerb() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show how the fleet is, and which regions can be lost now",
		UsageText: `hanse status                exit 3 when something needs you
hanse status -o json        a stable contract for scripts`,
		Flags: append(connectionFlags(defaultTimeout),
			outputFlag(formatTable, formatWide, formatJSON, formatYAML),
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "go on and show changes"},
		),
		Action: statusAction,
	}
}

func statusAction(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return during("status", err)
	}
	format, err := outputFormat(c, formatTable, formatWide, formatJSON, formatYAML)
	if err != nil {
		return during("status", err)
	}
	f, err := connect(c, nil) // what the member warns of is in its answer
	if err != nil {
		return during("status", err)
	}
	if c.Bool("watch") {
		return during("status", watchStatus(c, f, format))
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	text, now, err := f.statusOnceStarted(ctx, c, format)
	if err != nil {
		return during("status", err)
	}
	if _, err := c.App.Writer.Write(text); err != nil {
		return err
	}
	if !well(now) {
		return &failure{code: exitDiffers} // the answer says it
	}
	return nil
}

// startingEvery is how often a member is asked that has just started. The member bounds how long it says so.
const startingEvery = 200 * time.Millisecond

// statusOnceStarted is the status as soon as the member knows it: one that has just started knows of no quorum.
func (f *fleet) statusOnceStarted(ctx context.Context, c *cli.Context, format string) ([]byte, v1alpha1.FleetStatus, error) {
	for said := false; ; said = true {
		text, now, err := f.status(ctx, c, format)
		if err != nil || !now.Starting {
			return text, now, err
		}
		if !said {
			fmt.Fprintf(c.App.ErrWriter, "the member of %s has just started, and looks for the others\n", escaped(now.Member))
		}
		if !wait(ctx, startingEvery) {
			return text, now, nil
		}
	}
}

// status asks for the fleet's status, and renders it.
func (f *fleet) status(ctx context.Context, c *cli.Context, format string) ([]byte, v1alpha1.FleetStatus, error) {
	var now v1alpha1.FleetStatus
	body, err := f.read(ctx, request{path: v1alpha1.PathStatus}, &now)
	if err != nil {
		return nil, now, err
	}
	var text bytes.Buffer
	switch format {
	case formatJSON:
		err = printJSON(&text, body)
	case formatYAML:
		err = printYAML(&text, body)
	default:
		view := statusView{s: now, now: time.Now(), wide: format == formatWide, paint: newPaint(c.App.Writer)}
		view.print(&text)
	}
	return text.Bytes(), now, err
}

// watchStatus shows the status whenever it reads differently, until interrupted.
func watchStatus(c *cli.Context, f *fleet, format string) error {
	ctx, cancel := whileWatched(c)
	defer cancel()
	var shown []byte
	for {
		ask, stop := context.WithTimeout(ctx, defaultTimeout)
		text, _, err := f.status(ask, c, format)
		stop()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case !bytes.Equal(text, shown):
			if isTerminal(c.App.Writer) {
				fmt.Fprint(c.App.Writer, clearScreen)
			} else if shown != nil {
				fmt.Fprintln(c.App.Writer)
			}
			shown = text
			if _, err := c.App.Writer.Write(text); err != nil {
				return err
			}
		}
		if !wait(ctx, watchEvery) && ctx.Err() == nil {
			return nil // --timeout is all but over
		}
	}
}

// well says whether nothing needs a person: writes work, every cluster is there, and runs what it should as it should, no rollout stopped, was taken
// back or asks for approval, and nothing is in use that one could read that left.
func well(s v1alpha1.FleetStatus) bool {
	for _, c := range s.Clusters {
		if !c.Reachable || c.Bundles.Failed > 0 || c.Bundles.Drifted > 0 {
			return false
		}
	}
	stopped := func(r v1alpha1.RolloutFleetStatus) bool {
		return r.Phase == v1alpha1.RolloutFailed || r.Phase == v1alpha1.RolloutRolledBack || r.Asks != nil
	}
	return s.Quorum.Have && len(s.Warnings) == 0 && s.Exposed == nil && !slices.ContainsFunc(s.Rollouts, stopped)
}

// canLose: any one of eu, us, ap; or those regions of several; or nothing.
func canLose(s v1alpha1.FleetStatus, regions int) string {
	switch n := len(s.RegionsYouCanLose); {
	case n == 0:
		return "no region"
	case n > 1 && n == regions:
		return "any one of " + strings.Join(s.RegionsYouCanLose, ", ")
	}
	return either(s.RegionsYouCanLose)
}
