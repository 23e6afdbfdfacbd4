package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// annotationCluster says, in what is printed of several clusters, which one an object is of.
const annotationCluster = group + "/cluster"

const (
	// atOnce is how many clusters are asked at once, chunk how many objects one answer of them holds.
	atOnce = 32
	chunk  = "500"
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

// found is what one cluster answers: a chunk of a list, or why there is no more.
type found struct {
	cluster    string
	kind       string // as the cluster calls it
	namespaced bool
	body       []byte
	err        error
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

func (a *across) get(ctx context.Context) error {
	clusters, err := a.reach.clusters(a.c.StringSlice("cluster"))
	if err != nil {
		return err
	}
	answers := make(chan found)
	go func() {
		defer close(answers)
		a.askAll(ctx, clusters, answers)
	}()
	failed := map[string]error{}
	for f := range answers {
		if f.err == nil {
			f.err = a.take(f)
		}
		if f.err != nil {
			failed[f.cluster] = f.err
			if !errors.Is(f.err, errNoKind) {
				fmt.Fprintf(a.c.App.ErrWriter, "%s: %s\n", f.cluster, tellFrom(f.err))
			}
		}
	}
	if err := a.finish(clusters); err != nil {
		return err
	}
	return a.verdict(clusters, failed)
}

// askAll asks the clusters side by side, and sends what they answer as it comes.
func (a *across) askAll(ctx context.Context, clusters []string, answers chan<- found) {
	var group sync.WaitGroup
	defer group.Wait()
	seats := make(chan struct{}, atOnce)
	for _, cluster := range clusters {
		seats <- struct{}{}
		group.Go(func() {
			defer func() { <-seats }()
			if err := a.ask(ctx, cluster, answers); err != nil {
				answers <- found{cluster: cluster, err: err}
			}
		})
	}
}

// ask lists what is wanted in one cluster.
func (a *across) ask(ctx context.Context, cluster string, answers chan<- found) error {
	line, err := a.reach.open(ctx, cluster)
	if err != nil {
		return err
	}
	defer line.hangUp() // or the tunnel would stay for as long as idle connections do, and there may not be many
	client, err := rest.UnversionedRESTClientFor(line.Config)
	if err != nil {
		return err
	}
	mapping, err := a.find(ctx, client)
	switch {
	case errors.Is(err, errNoKind):
		return err
	case err != nil: // discovery does not repeat what the cluster says
		return cmp.Or(client.Get().AbsPath("/api").MaxRetries(0).Do(ctx).Error(), err)
	}
	f := found{cluster: cluster, kind: strings.ToLower(mapping.GroupVersionKind.Kind), namespaced: mapping.Scope.Name() == meta.RESTScopeNameNamespace}
	for _, query := range a.queries() {
		for more := true; more; {
			if f.body, err = a.list(ctx, client, mapping, query); err != nil {
				return err
			}
			var h struct {
				Metadata struct{ Continue string } `json:"metadata"`
			}
			if err := json.Unmarshal(f.body, &h); err != nil {
				return fmt.Errorf("read answer: %w", err)
			}
			answers <- f
			query.Set("continue", h.Metadata.Continue)
			more = h.Metadata.Continue != ""
		}
	}
	return nil
}

// find asks a cluster what it calls a kind.
func (a *across) find(ctx context.Context, client rest.Interface) (*meta.RESTMapping, error) {
	asks := discovery.NewDiscoveryClient(client)
	groups, err := restmapper.GetAPIGroupResourcesWithContext(ctx, asks)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewShortcutExpanderWithContext(restmapper.NewDiscoveryRESTMapperWithContext(groups), asks, nil)
	resource, err := mapper.ResourceForWithContext(ctx, schema.ParseGroupResource(strings.ToLower(a.kind)).WithVersion(""))
	if meta.IsNoMatchError(err) {
		return nil, errNoKind
	}
	if err != nil {
		return nil, err
	}
	kind, err := mapper.KindForWithContext(ctx, resource)
	if err != nil {
		return nil, err
	}
	mapping, err := mapper.RESTMappingWithContext(ctx, kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	mapping.Resource = resource
	return mapping, nil
}

// queries are what to ask: everything, or each name by itself.
func (a *across) queries() (all []url.Values) {
	for _, name := range append([]string(nil), a.names...) {
		all = append(all, url.Values{"fieldSelector": {"metadata.name=" + name}})
	}
	if len(all) == 0 {
		all = append(all, url.Values{})
	}
	for _, q := range all {
		q.Set("limit", chunk)
		if l := a.c.String("selector"); l != "" {
			q.Set("labelSelector", l)
		}
		if s := a.c.String("field-selector"); s != "" {
			q.Set("fieldSelector", strings.Trim(q.Get("fieldSelector")+","+s, ","))
		}
	}
	return all
}

func (a *across) list(ctx context.Context, client rest.Interface, m *meta.RESTMapping, query url.Values) ([]byte, error) {
	path := "/apis/" + m.Resource.Group + "/" + m.Resource.Version
	if m.Resource.Group == "" {
		path = "/api/" + m.Resource.Version
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace && !a.c.Bool("all-namespaces") {
		path += "/namespaces/" + url.PathEscape(namespaceOf(a.c))
	}
	accept := typeJSON
	if a.isTable() {
		accept = typeTable
	}
	r := client.Get().AbsPath(path, m.Resource.Resource).SetHeader("Accept", accept).MaxRetries(0)
	for key, values := range query {
		for _, v := range values {
			r.Param(key, v)
		}
	}
	result := r.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}

func namespaceOf(c *cli.Context) string {
	if n := c.String("namespace"); n != "" {
		return n
	}
	return metav1.NamespaceDefault
}

func (a *across) isTable() bool { return a.format == formatTable || a.format == formatWide }

// take prints a chunk of a cluster's answer, or keeps it until all have answered.
func (a *across) take(f found) error {
	if a.isTable() {
		return a.printRows(f)
	}
	var list struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Items      []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(f.body, &list); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	a.rows += len(list.Items)
	for _, item := range list.Items {
		if a.format == formatName {
			metadata, _ := item["metadata"].(map[string]any)
			fmt.Fprintf(a.c.App.Writer, "%s %s/%s\n", f.cluster, f.kind, metadata["name"])
			continue
		}
		item["apiVersion"], item["kind"] = list.APIVersion, strings.TrimSuffix(list.Kind, "List")
		hideManagers(item)
		annotate(item, f.cluster)
		a.items[f.cluster] = append(a.items[f.cluster], item)
	}
	return nil
}

func annotate(item map[string]any, cluster string) {
	metadata, _ := item["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		item["metadata"] = metadata
	}
	annotations, _ := metadata["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[annotationCluster] = cluster
	metadata["annotations"] = annotations
}

// printRows prints the rows of a table, each with its cluster before it.
func (a *across) printRows(f found) error {
	var table metav1.Table
	if err := json.Unmarshal(f.body, &table); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if table.Kind != "Table" {
		return errors.New("it prints no tables of " + a.kind + "; try -o json")
	}
	a.rows += len(table.Rows)
	withNamespace := f.namespaced && a.c.Bool("all-namespaces")
	before := []metav1.TableColumnDefinition{{Name: "Cluster"}}
	if withNamespace {
		before = append(before, metav1.TableColumnDefinition{Name: "Namespace"})
	}
	for i := range table.Rows {
		cells := []any{f.cluster}
		if withNamespace {
			cells = append(cells, namespaceOfRow(table.Rows[i]))
		}
		table.Rows[i].Cells = append(cells, table.Rows[i].Cells...)
	}
	table.ColumnDefinitions = append(before, table.ColumnDefinitions...)
	return a.printTable(table)
}

// printTable begins a table anew when a cluster has other columns than the one before it: it may be of another version.
func (a *across) printTable(table metav1.Table) error {
	if len(table.Rows) == 0 {
		return nil
	}
	var names []string
	for _, c := range table.ColumnDefinitions {
		names = append(names, c.Name)
	}
	if columns := strings.Join(names, "\n"); columns != a.columns {
		a.columns, a.table.columns = columns, nil
	}
	data, err := json.Marshal(table)
	if err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	_, err = a.table.print(data)
	return err
}

func namespaceOfRow(row metav1.TableRow) string {
	var o struct {
		Metadata struct{ Namespace string } `json:"metadata"`
	}
	if json.Unmarshal(row.Object.Raw, &o) != nil {
		return ""
	}
	return o.Metadata.Namespace
}

// finish prints what is printed as one.
func (a *across) finish(clusters []string) error {
	if a.format != formatJSON && a.format != formatYAML {
		return nil
	}
	items := []map[string]any{}
	for _, cluster := range clusters {
		items = append(items, a.items[cluster]...)
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": items})
	if err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	if a.format == formatYAML {
		return printYAML(a.c.App.Writer, data)
	}
	return printJSON(a.c.App.Writer, data)
}

// verdict is how the command ends: what some clusters did not say is missing from what was printed. That some do not know the
// kind is no failure, and neither is that there is nothing.
func (a *across) verdict(clusters []string, failed map[string]error) error {
	var silent, without []string
	for _, c := range clusters {
		switch err := failed[c]; {
		case errors.Is(err, errNoKind):
			without = append(without, c)
		case err != nil:
			silent = append(silent, c)
		}
	}
	switch answered := len(clusters) - len(silent); {
	case answered == 0:
		return &failure{code: exitError, why: "no cluster answered"}
	case len(without) == answered:
		return usage(strings.Join(without, ", ") + ": no such kind there")
	case len(silent) > 0:
		return &failure{code: exitDiffers, why: fmt.Sprintf("%d of %d clusters answered; what is in %s is not shown", answered, len(clusters), strings.Join(silent, ", "))}
	case a.rows == 0 && len(a.names) > 0:
		return &failure{code: exitError, why: "none of the clusters has it"}
	case a.rows == 0 && a.isTable():
		fmt.Fprintf(a.c.App.ErrWriter, "no %s in %s\n", a.kind, strings.Join(clusters, ", "))
	case len(without) > 0:
		fmt.Fprintf(a.c.App.ErrWriter, "%s: no such kind there\n", strings.Join(without, ", "))
	}
	return nil
}

// tellFrom is an error of another cluster in a few words.
func tellFrom(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err.Error()
	}
	return err.Error()
}
