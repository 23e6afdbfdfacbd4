package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"
	"k8s.io/klog/v2"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/internal/startup"
	"github.com/hanse-fleet/hanse/systemd"
)

func agentVerb() *cli.Command {
	return &cli.Command{
		Name:  "agent",
		Usage: "run this cluster's member of the fleet",
		UsageText: `hanse agent --kubeconfig FILE        until SIGTERM
hanse agent                          in a pod, the pod's own cluster; else $KUBECONFIG; else no cluster`,
		Flags: append([]cli.Flag{
			dataDirFlag(),
			dataIdentityFlag(),
			&cli.StringFlag{Name: "kubeconfig", Usage: "the cluster's own FILE, or in-cluster, or none [$KUBECONFIG]"},
			&cli.BoolFlag{Name: "aggregate", Value: true, Usage: "serve the fleet's API in the cluster's own, to its kubectl; --aggregate=false takes it out"},
			&cli.BoolFlag{Name: "cluster-api", Value: true, Usage: "let people of the fleet ask this cluster's API, in their own name and by its own RBAC; --cluster-api=false does not"},
			&cli.BoolFlag{Name: "project", Value: true, Usage: "show the fleet in the cluster as ClusterProfiles and such, where it knows these kinds; --project=false does not"},
			&cli.BoolFlag{Name: "install-crds", Usage: "make the definitions of these kinds when they are not there"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "LEVEL: debug, info, warn, error"},
		}, addressFlags()...),
		Action: agentAction,
	}
}

func agentAction(c *cli.Context) error {
	startup.Lasts()
	if err := noNames(c); err != nil {
		return during("agent", err)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return during("agent", usagef("--log-level %s: not one of debug, info, warn, error", c.String("log-level")))
	}
	logger := newLogger(c, level)
	notifier, err := systemd.NewNotifier(logger)
	if err != nil {
		return during("agent", err)
	}
	kubeconfig, err := clusterAccess(c)
	if err != nil {
		return during("agent", err)
	}
	with, err := dataIdentity(c, dataDir(c))
	if err != nil {
		return during("agent", err)
	}
	return during("agent", runAgent(c.Context, notifier, agent.Options{
		DataDir: dataDir(c), DataIdentity: with, Kubeconfig: kubeconfig, Aggregate: c.Bool("aggregate"), Addresses: addresses(c),
		ClusterAPI: c.Bool("cluster-api"), Project: c.Bool("project"), InstallCRDs: c.Bool("install-crds"),
		Version: ownVersion().Version, Logger: logger,
	}))
}

// runAgent runs a member under systemd's eyes, if systemd looks.
func runAgent(ctx context.Context, notifier *systemd.Notifier, o agent.Options) error {
	feeding, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	// systemd is told as soon as the signal is here: stopping in order may take a while.
	context.AfterFunc(ctx, notifier.Stopping)
	o.Ready = notifier.Ready
	o.Watch = func(healthy agent.Healthy) {
		group.Go(func() { notifier.Feed(feeding, healthy) })
	}
	err := agent.Run(ctx, o)
	if errors.Is(err, agent.ErrRemoved) {
		return &failure{code: exitDiffers, why: agent.ErrRemoved.Error(), hints: []hint{
			{words: "its workloads go on; the data directory " + o.DataDir + " is of no more use"},
			{"to come back, with another --data-dir", "join"},
		}}
	}
	return err
}

// newLogger logs for people and machines: one line a fact.
func newLogger(c *cli.Context, level slog.Level) *slog.Logger {
	logger := slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level}))
	libraries := slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: max(level, slog.LevelWarn)}))
	klog.SetSlogLogger(libraries.With("from", "kubernetes"))
	return logger
}

// Files that a pod finds when it may speak to its cluster.
const podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// clusterAccess finds out how the member reaches its own cluster; empty is: it has none.
func clusterAccess(c *cli.Context) (string, error) {
	switch given := c.String("kubeconfig"); given {
	case "none":
		return "", nil
	case "in-cluster":
		return given, nil
	case "":
	default:
		return given, readable(given)
	}
	if files := os.Getenv("KUBECONFIG"); files != "" {
		if strings.ContainsRune(files, os.PathListSeparator) {
			return "", usage("KUBECONFIG names several files; say which with --kubeconfig")
		}
		return files, readable(files)
	}
	if _, err := os.Stat(podToken); err == nil && os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return "in-cluster", nil
	}
	return "", nil
}

func readable(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return usagef("kubeconfig %s: %s", file, innermost(err))
	}
	return f.Close()
}
