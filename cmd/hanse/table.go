package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tablePrinter prints rows in columns. Columns only grow, so that a watch stays readable.
type tablePrinter struct {
	out     io.Writer
	wide    bool
	columns []metav1.TableColumnDefinition
	widths  []int
}

// print prints a table of the API; its columns too, when they have not been printed yet.
func (p *tablePrinter) print(data []byte) (rows int, err error) {
	var table metav1.Table
	if err := json.Unmarshal(data, &table); err != nil {
		return 0, fmt.Errorf("print answer: %w", err)
	}
	first := p.columns == nil && len(table.ColumnDefinitions) > 0
	if first {
		p.columns = table.ColumnDefinitions
		p.widths = make([]int, len(p.columns))
	}
	var lines [][]string
	if first && len(table.Rows) > 0 {
		lines = append(lines, p.header())
	} else if first {
		p.columns = nil
	}
	for _, row := range table.Rows {
		lines = append(lines, p.cells(row.Cells))
	}
	p.lines(lines)
	return len(table.Rows), nil
}

func (p *tablePrinter) header() []string {
	var cells []string
	for _, c := range p.columns {
		if p.shown(c) {
			cells = append(cells, strings.ToUpper(c.Name))
		}
	}
	return cells
}

func (p *tablePrinter) shown(c metav1.TableColumnDefinition) bool { return c.Priority == 0 || p.wide }

func (p *tablePrinter) cells(row []any) []string {
	var cells []string
	for i, cell := range row {
		if i >= len(p.columns) || !p.shown(p.columns[i]) {
			continue
		}
		text := "–"
		if cell != nil && cell != "" {
			text = fmt.Sprint(cell)
		}
		cells = append(cells, text)
	}
	return cells
}

// lines prints cells in columns, three spaces apart.
func (p *tablePrinter) lines(lines [][]string) {
	for _, line := range lines {
		for i, cell := range line {
			cell = escaped(cell)
			line[i] = cell
			if i >= len(p.widths) {
				p.widths = append(p.widths, 0)
			}
			p.widths[i] = max(p.widths[i], printed(cell))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", p.widths[i]-printed(cell)+3))
		}
		fmt.Fprintln(p.out, strings.TrimRight(b.String(), " "))
	}
}

// printed is how many columns of a terminal a text takes; colours take none.
func printed(s string) int {
	n := utf8.RuneCountInString(s)
	for {
		_, rest, ok := strings.Cut(s, "\x1b[")
		if !ok {
			return n
		}
		code, after, _ := strings.Cut(rest, "m")
		n -= len(code) + 3
		s = after
	}
}
