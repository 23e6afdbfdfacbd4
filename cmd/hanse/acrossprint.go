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

// print prints a page of a cluster's answer.
func (a *across) print(r *reply, chunk []byte) error {
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
		if err := a.objects.print(item); err != nil {
			return err
		}
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

// verdict is how the command ends: what some clusters did not say is missing from what was printed. That some do not know the
// kind is no failure, and neither is that there is nothing.
func (a *across) verdict(replies []*reply) error {
	var clusters, silent, broken, without []string
	for _, r := range replies {
		clusters = append(clusters, r.cluster)
		switch {
		case errors.Is(r.err, errNoKind):
			without = append(without, r.cluster)
		case r.err != nil:
			if r.begun {
				broken = append(broken, r.cluster)
			} else {
				silent = append(silent, r.cluster)
			}
			fmt.Fprintln(a.c.App.ErrWriter, escaped(r.cluster+": "+tellFrom(r.err)))
		}
	}
	switch answered := len(clusters) - len(silent) - len(broken); {
	case answered == 0 && len(broken) == 0:
		return &failure{code: exitError, why: "no cluster answered", hints: []hint{{"which are reached", "status"}}}
	case len(without) == answered && len(broken) == 0:
		return usage(strings.Join(without, ", ") + ": no such kind there")
	case len(silent)+len(broken) > 0:
		return &failure{code: exitDiffers, why: fmt.Sprintf("%d of %d clusters answered; %s", answered, len(clusters), missing(silent, broken)), hints: []hint{{"see which members are heard", "status"}}}
	case a.rows == 0 && len(a.names) > 0:
		return &failure{code: exitError, why: "none of the clusters has it"}
	case a.rows == 0 && a.isTable():
		fmt.Fprintf(a.c.App.ErrWriter, "no %s in %s\n", a.kind, strings.Join(clusters, ", "))
	case len(without) > 0:
		fmt.Fprintf(a.c.App.ErrWriter, "%s: no such kind there\n", strings.Join(without, ", "))
	}
	return nil
}

// missing says what was not printed: of some clusters nothing, and not all of those whose lists broke off.
func missing(silent, broken []string) string {
	var parts []string
	if len(silent) > 0 {
		parts = append(parts, "what is in "+strings.Join(silent, ", ")+" is not shown")
	}
	if len(broken) > 0 {
		parts = append(parts, "not all that is in "+strings.Join(broken, ", ")+" is shown")
	}
	return strings.Join(parts, ", ")
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
