package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

func upVerb() *cli.Command {
	return &cli.Command{
		Name:  "up",
		Usage: "start clusters and make a fleet of them; what is there stays, what lacks is added",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "regions", Value: 3, Usage: "at least `N` regions"},
			&cli.IntFlag{Name: "clusters-per-region", Value: 1, Usage: "at least `N` clusters in each"},
			&cli.StringFlag{Name: "fleet", Value: "testbed", Usage: "`NAME` of the fleet"},
			hanseFlag(),
		},
		Action: up,
	}
}

func up(c *cli.Context) error {
	path, err := hanse(c)
	if err != nil {
		return err
	}
	binaries, err := build(c, dir(c))
	if err != nil {
		return err
	}
	t, err := hold(c)
	if err != nil {
		return err
	}
	defer t.Close()
	plan := testbed.Plan{
		Regions: c.Int("regions"), ClustersPerRegion: c.Int("clusters-per-region"),
		Fleet: c.String("fleet"), Hanse: path, Binaries: binaries,
	}
	if err := t.Prepare(plan); err != nil {
		return err
	}
	talk := c.App.ErrWriter
	if err := timed(talk, "start "+places(t.Clusters()), func() error { return t.StartClusters(c.Context, t.Clusters()...) }); err != nil {
		return err
	}
	if err := timed(talk, "make the fleet", func() error { return t.FormFleet(c.Context) }); err != nil {
		return err
	}
	fmt.Fprintf(talk, "next: eval \"$(%s env %s)\"\n", invocation(c), t.Clusters()[0].Name())
	return nil
}

// timed says what is done, and then how long it took.
func timed(out io.Writer, what string, do func() error) error {
	begun := time.Now()
	fmt.Fprintf(out, "%-50s ", what)
	err := do()
	if err != nil {
		fmt.Fprintln(out, "failed")
		return err
	}
	fmt.Fprintln(out, seconds(time.Since(begun)))
	return nil
}

// places are eu/fra, us/iad …; of more than six only how many.
func places(clusters []*testbed.Cluster) string {
	if len(clusters) > 6 {
		return fmt.Sprintf("%d clusters", len(clusters))
	}
	var all []string
	for _, c := range clusters {
		all = append(all, c.Region()+"/"+c.Name())
	}
	return strings.Join(all, ", ")
}

// seconds is a duration as people say it.
func seconds(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// invocation is how this program was called, to be typed again.
func invocation(c *cli.Context) string {
	if d := c.String("dir"); d != "" {
		return self() + " --dir " + d
	}
	return self()
}
