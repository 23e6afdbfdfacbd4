package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
)

// annotationCluster says, in what is printed of several clusters, which one an object is of.
const annotationCluster = group + "/cluster"

const (
	// atOnce is how many clusters are asked at once, chunkSize how many objects one answer of them holds.
	atOnce    = 32
	chunkSize = "500"
)

// errNoKind means that a cluster does not know the kind that is asked for.
var errNoKind = errors.New("does not know this kind")

// clusterFlags say which clusters are asked for what is in them.
func clusterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "all-clusters", Usage: "objects that are in the clusters, of all of them: any kind that they know"},
		&cli.StringSliceFlag{Name: "cluster", Usage: "the same, of the cluster NAME; may be repeated"},
		&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "with these: the NAMESPACE (default)"},
		&cli.BoolFlag{Name: "all-namespaces", Aliases: []string{"A"}, Usage: "with these: all namespaces"},
	}
}

// across is one run of get in several clusters.
type across struct {
	c       *cli.Context
	reach   *reach
	format  string
	kind    string
	names   []string
	table   *tablePrinter
	columns string
	objects listPrinter // of the formats that are one list
	rows    int
}

func acrossAction(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) == 0 {
		return during("get", usage("which kind?", hint{"for example", "get pods -A --all-clusters"}))
	}
	kind, name, slash := strings.Cut(words[0], "/")
	a := &across{c: c, kind: kind, names: words[1:]}
	if slash {
		a.names = append([]string{name}, a.names...)
	}
	doing := strings.Join(append([]string{"get", kind}, a.names...), " ")
	if strings.Contains(kind, ",") {
		return during(doing, usage("one kind at a time"))
	}
	if slices.ContainsFunc(a.names, func(n string) bool { return n == "" || strings.Contains(n, "/") }) {
		return during(doing, usage("name one kind, and objects of it"))
	}
	if c.Bool("watch") {
		return during(doing, usage("--watch follows the fleet's own kinds, or one cluster's", hint{"for example", "kubectl --cluster NAME -- get " + kind + " --watch"}))
	}
	var err error
	if a.format, err = outputFormat(c, formatTable, formatWide, formatJSON, formatYAML, formatName); err != nil {
		return during(doing, err)
	}
	a.table = &tablePrinter{out: c.App.Writer, wide: a.format == formatWide}
	if a.format == formatJSON || a.format == formatYAML {
		a.objects = listPrinter{out: c.App.Writer, format: a.format}
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	if a.reach, err = reachClusters(ctx, c); err != nil {
		return during(doing, err)
	}
	return during(doing, a.get(ctx))
}

// get prints what the clusters say, page by page, and names those at the end that did not. However long the lists are, no more
// is kept than a page of each cluster that is printed next, and one that comes meanwhile.
func (a *across) get(ctx context.Context) error {
	clusters, err := a.reach.clusters(a.c.StringSlice("cluster"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var replies []*reply
	for _, c := range clusters {
		replies = append(replies, newReply(ctx, c))
	}
	asks := asking{across: a, pages: make(chan page), over: make(chan struct{})}
	var group sync.WaitGroup
	defer group.Wait()
	defer close(asks.over)
	group.Go(func() { asks.all(replies) })
	for p := range inTurn(replies, asks.pages, a.patience()) {
		if a.take(p); a.objects.err != nil {
			return a.objects.err
		}
	}
	if err := a.objects.end(); err != nil {
		return err
	}
	return a.verdict(replies)
}

// patience is for how long a cluster is waited for whose turn it is. A list of all is read as a whole, so its order is worth a
// wait; rows are looked at as they come.
func (a *across) patience() func() <-chan time.Time {
	if a.objects.format != "" {
		return func() <-chan time.Time { return nil }
	}
	return func() <-chan time.Time { return time.After(inStep) }
}

// take prints a page. What cannot be printed ends what its cluster says.
func (a *across) take(p page) {
	r := p.of
	if r.err != nil {
		return // given up, and not all of it had been told
	}
	if r.err = p.err; p.err != nil || p.last {
		return
	}
	if r.err = a.print(r, p.chunk); r.err != nil {
		r.giveUp()
		return
	}
	r.begun = true
}
