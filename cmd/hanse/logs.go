package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/rest"
)

func logsVerb() *cli.Command {
	return &cli.Command{
		Name:  "logs",
		Usage: "print the log of a pod in any cluster",
		UsageText: `hanse logs --cluster NAME POD
hanse logs --cluster NAME -n shop -f web-0 -c app`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.StringFlag{Name: "cluster", Usage: "the cluster's NAME"},
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the pod's NAMESPACE (default)"},
			&cli.StringFlag{Name: "container", Aliases: []string{"c"}, Usage: "the container's NAME, of a pod with several"},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on and print what is logged"},
			&cli.BoolFlag{Name: "previous", Aliases: []string{"p"}, Usage: "of the container before its last restart"},
			&cli.BoolFlag{Name: "timestamps", Usage: "with the time of each line"},
			&cli.IntFlag{Name: "tail", Value: -1, DefaultText: "all", Usage: "only the last N lines"},
			&cli.DurationFlag{Name: "since", Usage: "only what is younger than this TIME"},
		),
		Action: logsAction,
	}
}

func logsAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("logs", usage("which pod?", hint{"for example", "logs --cluster fra -n shop web-0"}))
	}
	pod := strings.TrimPrefix(strings.TrimPrefix(c.Args().First(), "pods/"), "pod/")
	doing := "logs " + pod
	if c.String("cluster") == "" {
		return during(doing, usage("in which cluster?", hint{"for example", "logs --cluster fra " + pod}))
	}
	body, hangUp, err := openLog(c, pod)
	if err != nil {
		return during(doing, err)
	}
	defer hangUp()
	defer body.Close()
	if _, err = io.Copy(c.App.Writer, body); c.Context.Err() != nil {
		return nil // that is how following ends
	}
	if err != nil {
		err = fmt.Errorf("it broke off: %w", err)
	}
	return during(doing, err)
}

// openLog comes to where the log begins within --timeout. How long it goes on from there is its own affair.
func openLog(c *cli.Context, pod string) (body io.ReadCloser, hangUp func(), err error) {
	setup, cancel := withTimeout(c)
	defer cancel()
	cluster := c.String("cluster")
	r, err := reachClusters(setup, c)
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.clusters([]string{cluster}); err != nil {
		return nil, nil, err
	}
	line, err := r.open(setup, cluster)
	if err != nil {
		return nil, nil, err
	}
	client, err := rest.UnversionedRESTClientFor(line.Config)
	if err != nil {
		return nil, nil, err
	}
	ask := client.Get().AbsPath("/api/v1/namespaces", url.PathEscape(namespaceOf(c)), "pods", url.PathEscape(pod), "log").MaxRetries(0)
	for key, value := range logQuery(c) {
		ask.Param(key, value)
	}
	reading, stop := context.WithCancel(c.Context)
	begun := context.AfterFunc(setup, stop)
	body, err = ask.Stream(reading)
	if !begun() && err == nil { // in the same moment
		body.Close()
		err = setup.Err()
	}
	hangUp = func() { stop(); line.hangUp() }
	if err != nil {
		hangUp()
		return nil, nil, logFailure(setup, c, cluster, err)
	}
	return body, hangUp, nil
}

func logFailure(setup context.Context, c *cli.Context, cluster string, err error) error {
	if errors.Is(setup.Err(), context.DeadlineExceeded) {
		return &failure{code: exitError, why: cluster + " has not answered within " + span(c.Duration("timeout")) + "; --timeout gives it longer"}
	}
	return &failure{code: exitError, why: cluster + ": " + tellFrom(err)}
}

func logQuery(c *cli.Context) map[string]string {
	query := map[string]string{}
	for _, flag := range []string{"follow", "previous", "timestamps"} {
		if c.Bool(flag) {
			query[flag] = "true"
		}
	}
	if name := c.String("container"); name != "" {
		query["container"] = name
	}
	if n := c.Int("tail"); n >= 0 {
		query["tailLines"] = strconv.Itoa(n)
	}
	if since := c.Duration("since"); since > 0 {
		query["sinceSeconds"] = strconv.Itoa(max(1, int(since.Seconds())))
	}
	return query
}
