package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

func statusVerb() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "which clusters there are, and which of their programs run",
		Flags: []cli.Flag{&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "`FORMAT`: table or json"}},
		Action: func(c *cli.Context) error {
			t, err := testbed.Look(dir(c))
			if err != nil {
				return err
			}
			switch c.String("output") {
			case "table":
				return statusTable(c.App.Writer, t.Status())
			case "json":
				encoder := json.NewEncoder(c.App.Writer)
				encoder.SetIndent("", "  ")
				return encoder.Encode(t.Status())
			}
			return usageError{fmt.Sprintf("status: --output %q: table or json", c.String("output"))}
		},
	}
}

func statusTable(out io.Writer, s testbed.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "REGION\tCLUSTER\tRUNS\tSERVER")
	for _, c := range s.Clusters {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Region, c.Name, runs(c.Pids), c.Server)
	}
	return w.Flush()
}

// runs says in a word or a few what runs of a cluster.
func runs(pids map[string]int) string {
	var gone []string
	for _, name := range testbed.Programs {
		if pids[name] == 0 {
			gone = append(gone, name)
		}
	}
	switch len(gone) {
	case 0:
		return "all"
	case len(testbed.Programs):
		return "nothing"
	}
	slices.Sort(gone)
	return "all but " + strings.Join(gone, ", ")
}

func envVerb() *cli.Command {
	return &cli.Command{
		Name:      "env",
		Usage:     "print a line for a shell, after which kubectl and hanse mean that cluster and its member",
		UsageText: "eval \"$(testbed env CLUSTER)\"",
		Action: func(c *cli.Context) error {
			which, err := names(c, "cluster")
			if err != nil {
				return err
			}
			t, err := testbed.Look(dir(c))
			if err != nil {
				return err
			}
			cluster, err := t.Cluster(which[0])
			if err != nil {
				return err
			}
			fmt.Fprint(c.App.Writer, cluster.Env())
			return nil
		},
	}
}

// self is the shortest way to call this program from here.
func self() string {
	exe, err := os.Executable()
	if err != nil {
		return "testbed"
	}
	if wd, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(wd, exe); err == nil && !strings.HasPrefix(short, "..") {
			return "." + string(filepath.Separator) + short
		}
	}
	return exe
}
