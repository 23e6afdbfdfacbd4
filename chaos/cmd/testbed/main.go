// Command testbed runs real Kubernetes clusters and a fleet made of them on this machine: one control plane per
// cluster, regions that can be killed and healed, and the demo. See package testbed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"k8s.io/klog/v2"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: data goes to out, talk to talk.
func run(ctx context.Context, args []string, out, talk io.Writer) (exit int) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	app := &cli.App{
		Name:            "testbed",
		Usage:           "real Kubernetes clusters and a fleet of them, on this machine",
		UsageText:       "testbed VERB [flags] [names]",
		Version:         version,
		HideHelpCommand: true,
		Writer:          out, ErrWriter: talk,
		ExitErrHandler: func(*cli.Context, error) {}, // done below
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return usageError{err.Error()} },
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError{fmt.Sprintf("%s: no such verb", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
		Commands: verbs(buildVerb(), upVerb(), statusVerb(), envVerb(), podsVerb(), killVerb(), healVerb(), downVerb(), demoVerb()),
	}
	err := app.RunContext(ctx, arrange(args))
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(talk, "testbed: %v\n", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(talk, "  all verbs: testbed --help")
		return 2
	}
	return 1
}

type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// verbs gives every verb what all of them share.
func verbs(list ...*cli.Command) []*cli.Command {
	for _, v := range list {
		v.HideHelpCommand = true
		v.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usageError{err.Error()} }
		v.Flags = append(v.Flags, &cli.StringFlag{Name: "dir", Usage: "`FOLDER` of the testbed [$HANSE_TESTBED_DIR, .testbed]"})
	}
	return list
}

// arrange puts a command line into the order that urfave/cli reads: verb, flags, names.
func arrange(args []string) []string {
	var verb, flags, names []string
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case strings.HasPrefix(arg, "-"):
			flags = append(flags, arg)
			if !strings.Contains(arg, "=") && !alone[strings.TrimLeft(arg, "-")] && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		case verb == nil:
			verb = []string{arg}
		default:
			names = append(names, arg)
		}
	}
	arranged := append([]string{args[0]}, verb...)
	return append(append(arranged, flags...), names...)
}

// alone are the flags without a value.
var alone = map[string]bool{"keep": true, "h": true, "help": true, "v": true, "version": true}

// dir is the testbed's folder.
func dir(c *cli.Context) string {
	for _, d := range []string{c.String("dir"), os.Getenv("HANSE_TESTBED_DIR")} {
		if d != "" {
			return d
		}
	}
	return ".testbed"
}

// hanseFlag names the binary that the fleet is made with.
func hanseFlag() cli.Flag {
	return &cli.StringFlag{Name: "hanse", Usage: "`PATH` of the hanse binary (the one beside testbed)"}
}

func hanse(c *cli.Context) (string, error) {
	path := c.String("hanse")
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find hanse: %w", err)
		}
		path = filepath.Join(filepath.Dir(self), "hanse")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find hanse: %w; build it with make build, or name it with --hanse", err)
	}
	return filepath.Abs(path)
}

// names are exactly the arguments that a verb takes.
func names(c *cli.Context, what string) ([]string, error) {
	if c.NArg() == 0 {
		return nil, usageError{fmt.Sprintf("%s: which %s?", c.Command.Name, what)}
	}
	return c.Args().Slice(), nil
}

// hold opens the testbed to change it.
func hold(c *cli.Context) (*testbed.Testbed, error) {
	return testbed.Hold(dir(c))
}
