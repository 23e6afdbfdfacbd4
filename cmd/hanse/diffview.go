package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
)

// printDifferences prints what changes would come to.
func printDifferences(out io.Writer, format string, all []difference) error {
	if format == formatJSON {
		data, err := json.Marshal(all)
		if err != nil {
			return fmt.Errorf("print differences: %w", err)
		}
		return printJSON(out, data)
	}
	v := diffView{out: out, paint: newPaint(out)}
	for i, d := range all {
		if i > 0 {
			v.line("")
		}
		v.one(d)
	}
	return nil
}

// diffView prints differences for people. Clusters that change alike are told together.
type diffView struct {
	out   io.Writer
	paint paint
}

func (v diffView) line(text string) { fmt.Fprintln(v.out, strings.TrimRight(escaped(text), " ")) }

func (v diffView) one(d difference) {
	if d.Kind != "bundle" {
		v.line(d.Kind + " " + d.Name + ": " + map[compare.Fate]string{compare.Added: "is new", compare.Changed: "changes", "": "no change"}[d.Fate])
		v.fields("  ", d.Fields)
		if d.Moves != nil {
			v.line("")
			printMoves(v.out, *d.Moves)
		}
		return
	}
	v.line(d.Name + ": " + d.summary())
	v.fields("  ", d.Fields)
	same := prospects{}
	for _, group := range alikeIn(d.Clusters) {
		if !group[0].differs() {
			same = group
			continue
		}
		v.line("")
		v.group(group)
	}
	if len(same) > 0 {
		v.line("")
		v.line(few(same.names()) + "  no change")
	}
	if d.waves != "" {
		v.line("")
		v.line(d.waves)
	}
}

// summary: 2 clusters change, 1 stays, nothing is deleted.
func (d difference) summary() string {
	var change, lose, refuse, deleted, replaced int
	for _, p := range d.Clusters {
		if p.Loses {
			lose++
		} else if p.differs() {
			change++
		}
		if len(p.Refused) > 0 || p.Error != "" {
			refuse++
		}
		deleted += p.count(compare.Deleted)
		replaced += p.count(compare.Replaced)
	}
	switch {
	case len(d.Clusters) == 0:
		return "it is in no cluster, and goes to none"
	case change+lose == 0:
		return "no change in " + clusterCount(len(d.Clusters))
	}
	var words []string
	add := func(n int, one, many string) {
		if n > 0 {
			words = append(words, v1alpha1.Counted(n, one, many))
		}
	}
	add(change, "1 cluster changes", "%d clusters change")
	add(lose, "1 cluster loses it", "%d clusters lose it")
	add(len(d.Clusters)-change-lose, "1 stays", "%d stay")
	add(refuse, "1 cannot take it", "%d cannot take it")
	add(replaced, "1 object is deleted and made anew", "%d objects are deleted and made anew")
	if deleted+replaced == 0 {
		return strings.Join(append(words, "nothing is deleted"), ", ")
	}
	add(deleted, "1 object is deleted", "%d objects are deleted")
	return strings.Join(words, ", ")
}

// count is of the objects of one fate.
func (p prospect) count(fate compare.Fate) (n int) {
	for _, o := range p.Objects {
		if o.Fate == fate {
			n++
		}
	}
	return n
}

func clusterCount(n int) string { return v1alpha1.Counted(n, "1 cluster", "%d clusters") }

// prospects are clusters that change alike.
type prospects []prospect

func (p prospects) names() (names []string) {
	for _, one := range p {
		names = append(names, one.Cluster)
	}
	return names
}

// alikeIn groups clusters by what changes in them, in the order of the first of each.
func alikeIn(all []prospect) (groups []prospects) {
	at := map[string]int{}
	for _, p := range all {
		bare := p
		bare.Cluster, bare.Granted, bare.Unasked = "", false, nil
		data, err := json.Marshal(bare)
		key := string(data)
		if err != nil { // it came as JSON
			key = p.Cluster
		}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

func (v diffView) group(group prospects) {
	p, words := group[0], few(group.names())
	if p.Loses {
		words += "  " + v.paint.red("no longer to have it")
	}
	v.line(words)
	if p.Error != "" {
		v.line(v.paint.red("  ! ") + p.Error)
	}
	for _, r := range p.Refused {
		v.line(v.paint.red("  ! ") + plan.Name(r.ObjectRef) + "   " + r.Why)
	}
	for _, o := range p.Objects {
		v.object(o)
	}
	for _, o := range p.Orphans {
		v.line("  = " + plan.Name(o) + "   stays in the cluster: the bundle's deletion is Orphan")
	}
}

func (v diffView) object(o compare.Object) {
	name := plan.Name(o.ObjectRef)
	switch o.Fate {
	case compare.Added:
		v.line("  + " + name)
	case compare.Deleted:
		v.line(v.paint.red("  - ") + name)
	case compare.Replaced:
		v.line(v.paint.red("  ± ") + name + "   deleted and made anew: nobody can change " + strings.Join(o.Immutable, ", "))
		v.fields("      ", o.Fields)
	default:
		v.line("  ~ " + name)
		v.fields("      ", o.Fields)
	}
}

// fields prints a line a field; texts of several lines as far as they differ.
func (v diffView) fields(indent string, fields []compare.Field) {
	width := 0
	for _, f := range fields {
		width = max(width, min(len(f.Path), 60))
	}
	for _, f := range fields {
		before, after := shown(f.Before), shown(f.After)
		if strings.Contains(before, "\n") || strings.Contains(after, "\n") {
			v.line(indent + f.Path)
			v.text(indent+"  ", before, after)
			continue
		}
		v.line(fmt.Sprintf("%s%-*s   %s", indent, width, f.Path, arrow(f, clipped(before), clipped(after))))
	}
}

// arrow: 1.4 → 1.5; 1.5 (new); 1.4 (gone).
func arrow(f compare.Field, before, after string) string {
	switch {
	case f.Hidden && f.Before != nil && f.After != nil:
		return "*** (it changes)"
	case f.Before == nil:
		return after + " (new)"
	case f.After == nil:
		return before + " (gone)"
	}
	return before + " → " + after
}

// shown is a value as people read it: words as they are, anything else as JSON.
func shown(value any) string {
	if text, ok := value.(string); ok && text != "" {
		return text
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

// clipped bounds a value to what fits a line.
func clipped(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// maxLines is how many lines of a text are shown at most.
const maxLines = 20

// text prints the lines that are different in two texts.
func (v diffView) text(indent, before, after string) {
	var lines []string
	for line := range strings.Lines(string(diff.Diff("before", []byte(before+"\n"), "after", []byte(after+"\n")))) {
		if strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++") || strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "---") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	for _, line := range lines[:min(len(lines), maxLines)] {
		v.line(indent + line)
	}
	if more := len(lines) - maxLines; more > 0 {
		v.line(indent + v1alpha1.Counted(more, "and 1 line more", "and %d lines more"))
	}
}
