package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func getVerb() *cli.Command {
	return &cli.Command{
		Name:  "get",
		Usage: "show objects of the fleet",
		UsageText: `hanse get KIND [NAME…]        bundles, fleetsecrets, clusters, works, clustermetrics, rollouts, bundlerevisions, recipientgroups, users, fleets, changes
hanse get KIND/NAME…
hanse get KIND -A --all-clusters    what is in the clusters: pods, nodes, any kind that they know`,
		Flags: append(append(connectionFlags(defaultTimeout), clusterFlags()...),
			outputFlag(formatTable, formatWide, formatJSON, formatYAML, formatName),
			&cli.StringFlag{Name: "selector", Aliases: []string{"l"}, Usage: "only objects with these LABELS"},
			&cli.StringFlag{Name: "field-selector", Usage: "only objects with these FIELDS"},
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "go on and show changes"},
		),
		Action: getAction,
	}
}

func getAction(c *cli.Context) error {
	if c.Bool("all-clusters") || c.IsSet("cluster") {
		return acrossAction(c)
	}
	k, names, err := objectsNamed(c.Args().Slice())
	if err != nil {
		return during("get", err)
	}
	doing := strings.Join(append([]string{"get", k.plural}, names...), " ")
	g := getter{c: c, kind: k}
	if g.format, err = outputFormat(c, formatTable, formatWide, formatJSON, formatYAML, formatName); err != nil {
		return during(doing, err)
	}
	if c.Bool("watch") && len(names) > 1 {
		return during(doing, usage("--watch takes one name, or none"))
	}
	if g.fleet, err = connect(c, c.App.ErrWriter); err != nil {
		return during(doing, err)
	}
	g.table = &tablePrinter{out: c.App.Writer, wide: g.format == formatWide}
	return during(doing, g.get(names))
}

// getter is one run of get.
type getter struct {
	c      *cli.Context
	fleet  *fleet
	kind   kind
	format string
	table  *tablePrinter
}

func (g *getter) get(names []string) error {
	if g.c.Bool("watch") {
		return g.watch(names)
	}
	ctx, cancel := withTimeout(g.c)
	defer cancel()
	if len(names) == 0 {
		_, err := g.list(ctx, g.query())
		return err
	}
	for _, name := range names {
		body, err := g.fleet.read(ctx, request{path: g.kind.path(name), accept: g.accept()}, nil)
		if err != nil {
			return err
		}
		if err := g.print(body); err != nil {
			return err
		}
	}
	return nil
}

func (g *getter) query() url.Values {
	query := url.Values{}
	for flag, param := range map[string]string{"selector": "labelSelector", "field-selector": "fieldSelector"} {
		if v := g.c.String(flag); v != "" {
			query.Set(param, v)
		}
	}
	return query
}

func (g *getter) isTable() bool { return g.format == formatTable || g.format == formatWide }

func (g *getter) accept() string {
	if g.isTable() {
		return typeTable
	}
	return typeJSON
}

// list prints what there is now, and returns the revision that it is of.
func (g *getter) list(ctx context.Context, query url.Values) (revision string, err error) {
	body, err := g.fleet.read(ctx, request{path: g.kind.path(), query: query, accept: g.accept()}, nil)
	if err != nil {
		return "", err
	}
	var h header
	if err := json.Unmarshal(body, &h); err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	return h.Metadata.ResourceVersion, g.print(body)
}

func (g *getter) print(body []byte) error {
	if !g.isTable() {
		return printObject(g.c.App.Writer, g.format, g.kind, body)
	}
	rows, err := g.table.print(body)
	if err == nil && rows == 0 && !g.c.Bool("watch") {
		fmt.Fprintln(g.c.App.ErrWriter, "no", g.kind.plural)
	}
	return err
}

// watch prints what there is and then every change, until interrupted or --timeout, if that was given, is over.
func (g *getter) watch(names []string) error {
	ctx, cancel := whileWatched(g.c)
	defer cancel()
	query := g.query()
	if len(names) == 1 {
		query.Set("fieldSelector", "metadata.name="+names[0])
	}
	for {
		revision, err := g.list(ctx, query)
		if err == nil {
			err = g.follow(ctx, query, revision)
		}
		switch {
		case ctx.Err() != nil:
			return nil // that is how a watch ends
		case err != nil && !errors.Is(err, errExpired):
			return err
		}
		wait(ctx, time.Second)
	}
}

func (g *getter) follow(ctx context.Context, query url.Values, revision string) error {
	from := url.Values{"resourceVersion": {revision}}
	for key, values := range query {
		from[key] = values
	}
	return g.fleet.events(ctx, request{path: g.kind.path(), query: from, accept: g.accept()}, func(e event) error {
		if e.Type == "BOOKMARK" {
			return nil
		}
		return g.print(e.Object)
	})
}
