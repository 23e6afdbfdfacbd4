package apiserver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// table is what kubectl get shows of a kind.
type table []column

// column is one fact. Wide ones show with -o wide only.
type column struct {
	name, about string
	wide        bool
	number      bool
	format      string
	cell        func(runtime.Object) any
}

// col makes a column of a type's fact.
func col[T any](name, about string, cell func(*T) string) column {
	return column{name: name, about: about, cell: func(obj runtime.Object) any { return cell(any(obj).(*T)) }}
}

// nameColumn is the first one of each table, unless the table has it elsewhere.
func nameColumn() column {
	return column{name: "Name", about: "name of the object", format: "name", cell: func(obj runtime.Object) any {
		m, err := meta.Accessor(obj)
		if err != nil {
			return ""
		}
		return m.GetName()
	}}
}

// whole is the table with the name.
func (t table) whole() table {
	if slices.ContainsFunc(t, func(c column) bool { return c.format == "name" }) {
		return t
	}
	return append(table{nameColumn()}, t...)
}

// num makes a column of numbers.
func num[T any](name, about string, cell func(*T) int64) column {
	return column{name: name, about: about, number: true, cell: func(obj runtime.Object) any { return cell(any(obj).(*T)) }}
}

// onlyWide shows a column with -o wide only.
func onlyWide(c column) column {
	c.wide = true
	return c
}

// ConvertToTable implements rest.TableConvertor.
func (t table) ConvertToTable(_ context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	out := &metav1.Table{}
	if opts, ok := options.(*metav1.TableOptions); !ok || !opts.NoHeaders {
		out.ColumnDefinitions = t.definitions()
	}
	if list, err := meta.ListAccessor(obj); err == nil {
		out.ResourceVersion, out.Continue, out.RemainingItemCount = list.GetResourceVersion(), list.GetContinue(), list.GetRemainingItemCount()
	} else if m, err := meta.CommonAccessor(obj); err == nil {
		out.ResourceVersion = m.GetResourceVersion()
	}
	if !meta.IsListType(obj) {
		row, err := t.row(obj)
		out.Rows = []metav1.TableRow{row}
		return out, err
	}
	return out, meta.EachListItem(obj, func(item runtime.Object) error {
		row, err := t.row(item)
		out.Rows = append(out.Rows, row)
		return err
	})
}

func (t table) definitions() []metav1.TableColumnDefinition {
	var defs []metav1.TableColumnDefinition
	for _, c := range t.whole() {
		def := metav1.TableColumnDefinition{Name: c.name, Type: "string", Format: c.format, Description: c.about}
		if c.number {
			def.Type = "integer"
		}
		if c.wide {
			def.Priority = 1
		}
		defs = append(defs, def)
	}
	return append(defs, metav1.TableColumnDefinition{Name: "Age", Type: "string", Description: "how long ago it was made"})
}

func (t table) row(obj runtime.Object) (metav1.TableRow, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return metav1.TableRow{}, fmt.Errorf("make row: %w", err)
	}
	row := metav1.TableRow{Object: runtime.RawExtension{Object: obj}}
	for _, c := range t.whole() {
		row.Cells = append(row.Cells, c.cell(obj))
	}
	row.Cells = append(row.Cells, ago(m.GetCreationTimestamp()))
	return row, nil
}

// ago is how long ago a time was, in the words of kubectl.
func ago(at metav1.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(at.Time))
}

func agoOf(at *metav1.Time) string {
	if at == nil {
		return "<never>"
	}
	return ago(*at)
}

// ready is the status of condition Ready, with its reason when it is not true.
func ready(conditions []metav1.Condition) string {
	c := meta.FindStatusCondition(conditions, "Ready")
	switch {
	case c == nil:
		return "Unknown"
	case c.Status == metav1.ConditionTrue:
		return "True"
	}
	return c.Reason
}
