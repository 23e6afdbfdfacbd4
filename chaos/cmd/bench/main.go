// Command bench measures the store of a fleet beside etcd. See package bench.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/chaos/bench"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := app(os.Stdout, os.Stderr).RunContext(ctx, os.Args)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func app(out, talk io.Writer) *cli.App {
	d := bench.DefaultOptions()
	return &cli.App{
		Name: "bench", Usage: "measure the store of a fleet beside etcd, in turns", HideHelpCommand: true, Writer: out, ErrWriter: talk,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "`FOLDER` on the disk to measure; what lies there is removed afterwards", Value: os.TempDir()},
			&cli.StringFlag{Name: "out", Usage: "`FOLDER` for the results", Value: "bench"},
			&cli.StringSliceFlag{Name: "only", Usage: "`GROUP` of rows: " + strings.Join(bench.Groups(), ", ")},
			&cli.IntFlag{Name: "rounds", Usage: "`N` turns of each", Value: d.Rounds},
			&cli.DurationFlag{Name: "measured", Usage: "how long a turn lasts", Value: d.Measured},
			&cli.IntFlag{Name: "kills", Usage: "`N` leaders killed at each distance", Value: d.Kills},
			&cli.IntFlag{Name: "moves", Usage: "`N` planned changes of leader", Value: d.Moves},
			&cli.IntSliceFlag{Name: "members", Usage: "`N` members of a fleet, again for each fleet [100, 300]"},
			&cli.IntFlag{Name: "clusters", Usage: "`N` simulated clusters that a rollout goes over", Value: d.Clusters},
			&cli.DurationFlag{Name: "rtt", Usage: "round trip of the distant rows", Value: d.RoundTrip},
			&cli.DurationFlag{Name: "etcd-election", Usage: "election timeout of etcd, with a heartbeat of a tenth [its default, 1s]"},
			&cli.StringFlag{Name: "profile", Usage: "`FOLDER` for processor profiles of our leader under 256 writers"},
		},
		Action:   func(c *cli.Context) error { return measure(c, out, talk) },
		Commands: []*cli.Command{{Name: "member", Hidden: true, Action: func(c *cli.Context) error { return bench.RunMember(c.Context, c.Args().First()) }}},
	}
}

func measure(c *cli.Context, out, talk io.Writer) error {
	binaries, err := testbed.FindBinaries()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.String("dir"), "hanse-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the data: %w", err)
	}
	defer os.RemoveAll(dir)
	o := bench.Options{
		Program: program, Hanse: filepath.Join(filepath.Dir(program), "hanse"),
		Etcd: binaries.Path(testbed.Etcd), APIServer: binaries.Path(testbed.APIServer), Binaries: binaries, Dir: dir, Rounds: c.Int("rounds"), Measured: c.Duration("measured"),
		Clusters: c.Int("clusters"), Kills: c.Int("kills"), Moves: c.Int("moves"), RoundTrip: c.Duration("rtt"), EtcdElection: c.Duration("etcd-election"),
		Profile: c.String("profile"), Only: c.StringSlice("only"),
	}
	if o.Members = c.IntSlice("members"); len(o.Members) == 0 {
		o.Members = bench.DefaultOptions().Members
	}
	report, err := bench.Run(c.Context, o, out, talk)
	report.Commit = version
	report.Command = strings.Join(append([]string{"bench"}, os.Args[1:]...), " ")
	if len(report.Rows) == 0 {
		return err
	}
	path := filepath.Join(c.String("out"), report.When.Format(time.DateOnly+"T150405Z")+".json")
	if saved := report.Save(path); saved != nil {
		return saved
	}
	fmt.Fprintf(talk, "# saved: %s\n", path)
	return err
}
