package main

import (
	"context"
	"errors"
	"iter"
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
	items   map[string][]map[string]any // by cluster, of the formats that are printed at the end
	rows    int
}

// inStep is for how long clusters are printed in the order of their names: who needs longer is printed when it has answered, and
// holds up nobody.
const inStep = time.Second

// reply is what one cluster says.
type reply struct {
	cluster    string
	kind       string // as the cluster calls it
	namespaced bool
	chunks     [][]byte // of a list
	err        error    // why there are no more
}

func acrossAction(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) == 0 {
		return during("get", usage("which kind?", hint{"for example", "get pods -A --all-clusters"}))
	}
	kind, name, slash := strings.Cut(words[0], "/")
	a := &across{c: c, kind: kind, names: words[1:], items: map[string][]map[string]any{}}
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
	ctx, cancel := withTimeout(c)
	defer cancel()
	if a.reach, err = reachClusters(ctx, c); err != nil {
		return during(doing, err)
	}
	return during(doing, a.get(ctx))
}

// get prints what the clusters say, and names those at the end that did not.
func (a *across) get(ctx context.Context) error {
	clusters, err := a.reach.clusters(a.c.StringSlice("cluster"))
	if err != nil {
		return err
	}
	var replies []*reply
	for _, c := range clusters {
		replies = append(replies, &reply{cluster: c})
	}
	answered := make(chan *reply, len(replies))
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { a.askAll(ctx, replies, answered) })
	for r := range inOrder(replies, answered, time.After(inStep)) {
		for _, chunk := range r.chunks {
			if err := a.take(r, chunk); err != nil {
				r.err = err
				break
			}
		}
		r.chunks = nil
	}
	if err := a.finish(clusters); err != nil {
		return err
	}
	return a.verdict(replies)
}

// inOrder are the replies as they stand, each once it has come over the channel; when the time is over, whoever has come is no
// longer kept waiting for those before it.
func inOrder(replies []*reply, answered <-chan *reply, over <-chan time.Time) iter.Seq[*reply] {
	return func(yield func(*reply) bool) {
		here, patient := map[*reply]bool{}, true
		for left := slices.Clone(replies); len(left) > 0; {
			select {
			case r := <-answered:
				here[r] = true
			case <-over:
				patient = false
			}
			for i := 0; i < len(left); {
				switch {
				case here[left[i]]:
					if !yield(left[i]) {
						return
					}
					left = slices.Delete(left, i, i+1)
				case patient:
					i = len(left)
				default:
					i++
				}
			}
		}
	}
}
