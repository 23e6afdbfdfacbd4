package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (a *across) isTable() bool { return a.format == formatTable || a.format == formatWide }

// take prints a chunk of a cluster's answer, or keeps it until all have answered.
func (a *across) take(r *reply, chunk []byte) error {
	if a.isTable() {
		return a.printRows(r, chunk)
	}
	var list struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Items      []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(chunk, &list); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	a.rows += len(list.Items)
	for _, item := range list.Items {
		if a.format == formatName {
			metadata, _ := item["metadata"].(map[string]any)
			fmt.Fprintln(a.c.App.Writer, escaped(fmt.Sprintf("%s %s/%s", r.cluster, r.kind, metadata["name"])))
			continue
		}
		item["apiVersion"], item["kind"] = list.APIVersion, strings.TrimSuffix(list.Kind, "List")
		hideManagers(item)
		annotate(item, r.cluster)
		a.items[r.cluster] = append(a.items[r.cluster], item)
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
func (a *across) printRows(r *reply, chunk []byte) error {
	var table metav1.Table
	if err := json.Unmarshal(chunk, &table); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if table.Kind != "Table" {
		return errors.New("it prints no tables of " + a.kind + "; try -o json")
	}
	a.rows += len(table.Rows)
	withNamespace := r.namespaced && a.c.Bool("all-namespaces")
	before := []metav1.TableColumnDefinition{{Name: "Cluster"}}
	if withNamespace {
		before = append(before, metav1.TableColumnDefinition{Name: "Namespace"})
	}
	for i := range table.Rows {
		cells := []any{r.cluster}
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
func (a *across) verdict(replies []*reply) error {
	var clusters, silent, without []string
	for _, r := range replies {
		clusters = append(clusters, r.cluster)
		switch {
		case errors.Is(r.err, errNoKind):
			without = append(without, r.cluster)
		case r.err != nil:
			silent = append(silent, r.cluster)
			fmt.Fprintln(a.c.App.ErrWriter, escaped(r.cluster+": "+tellFrom(r.err)))
		}
	}
	switch answered := len(clusters) - len(silent); {
	case answered == 0:
		return &failure{code: exitError, why: "no cluster answered", hints: []hint{{"which are reached", "status"}}}
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
