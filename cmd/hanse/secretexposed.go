package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func secretExposedVerb() *cli.Command {
	return &cli.Command{
		Name: "exposed", Usage: "list what clusters could read that left; exits 3 while any of it is in use",
		UsageText: `hanse secret exposed                   of all clusters that left a group, or lost their key
hanse secret exposed --cluster iad     of one, also if it is still there: what if it were stolen?
hanse secret exposed -o wide           also what is in use no more

A line is open until another value is in use: the same value, sealed anew, leaves it open. Every member gives the same answer.`,
		Flags: append(connectionFlags(defaultTimeout), outputFlag(formatTable, formatWide, formatJSON, formatYAML, formatName),
			&cli.StringFlag{Name: "cluster", Usage: "what the cluster NAME could read, or can"}),
		Action: secretExposedAction,
	}
}

func secretExposedAction(c *cli.Context) error {
	doing := "secret exposed"
	if err := noNames(c); err != nil {
		return during(doing, err)
	}
	format, err := outputFormat(c, formatTable, formatWide, formatJSON, formatYAML, formatName)
	if err != nil {
		return during(doing, err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	of := bareCluster(c.String("cluster"))
	e, body, err := f.exposed(ctx, of)
	if isReason(err, metav1.StatusReasonNotFound) {
		err = &failure{code: exitError, why: err.Error(), hints: []hint{{"see what left", "secret exposed -o wide"}, {"see what there is", "get clusters"}}}
	}
	if err != nil {
		return during(doing, err)
	}
	view := exposedView{now: time.Now(), wide: format == formatWide, of: of}
	if err := view.in(c.App.Writer, format, e, body); err != nil {
		return during(doing, err)
	}
	if e.Open > 0 {
		return &failure{code: exitDiffers} // the answer says it
	}
	return nil
}

// exposed asks what a cluster could read; without a name, what all could that left.
func (f *fleet) exposed(ctx context.Context, cluster string) (e v1alpha1.Exposures, body []byte, err error) {
	query := url.Values{}
	if cluster != "" {
		query.Set("cluster", cluster)
	}
	body, err = f.read(ctx, request{path: v1alpha1.PathExposed, query: query}, &e)
	return e, body, err
}

// exposedView prints what could be read.
type exposedView struct {
	now  time.Time
	wide bool
	of   string // the cluster that was asked for
}

func (v exposedView) in(out io.Writer, format string, e v1alpha1.Exposures, body []byte) error {
	switch format {
	case formatJSON:
		return printJSON(out, body)
	case formatYAML:
		return printYAML(out, body)
	case formatName:
		for _, name := range secretsOf(e, v1alpha1.ExposureOpen, v1alpha1.ExposureReads) {
			fmt.Fprintln(out, "fleetsecret/"+name)
		}
		return nil
	}
	v.print(out, e)
	return nil
}

// secretsOf are the secrets of lines in some states, each once.
func secretsOf(e v1alpha1.Exposures, in ...v1alpha1.ExposureState) (names []string) {
	for _, x := range e.Items {
		if slices.Contains(in, x.State) {
			names = append(names, x.Secret)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// print is the table: what is open or can be read, and in the wide one the rest, too.
func (v exposedView) print(out io.Writer, e v1alpha1.Exposures) {
	lines := [][]string{{"SECRET", "GROUP", "READER", "UNTIL", "STATE", "WHY"}}
	if v.wide {
		lines[0] = append(lines[0], "OBJECT", "KEY", "GENERATIONS")
	}
	for _, x := range e.Items {
		done := x.State == v1alpha1.ExposureChanged || x.State == v1alpha1.ExposureDeleted
		if done && !v.wide {
			continue
		}
		line := []string{x.Secret, x.Group, readerWords(x.SecretReader), v.until(x.SecretReader), strings.ToLower(string(x.State)), x.Message}
		if v.wide {
			line = append(line, x.Namespace+"/"+x.SecretName, fmt.Sprint(x.Epoch), dash(strings.Trim(fmt.Sprint(x.Generations), "[]")))
		}
		lines = append(lines, line)
	}
	if len(lines) > 1 {
		(&tablePrinter{out: out}).lines(lines)
		fmt.Fprintln(out)
	}
	for _, words := range v.summary(e) {
		fmt.Fprintln(out, escaped(words))
	}
}

func (v exposedView) summary(e v1alpha1.Exposures) (lines []string) {
	open, reads := secretsOf(e, v1alpha1.ExposureOpen), secretsOf(e, v1alpha1.ExposureReads)
	closed, deleted := 0, 0
	for _, x := range e.Items {
		switch x.State {
		case v1alpha1.ExposureChanged:
			closed++
		case v1alpha1.ExposureDeleted:
			deleted++
		}
	}
	if e.Open > 0 {
		lines = append(lines, fmt.Sprintf("open: %s of %s; change each value at its source, seal the new one, and apply it: hanse seal --name %s …", many(e.Open, "line"), many(len(open), "secret"), open[0]))
	}
	if len(reads) > 0 {
		lines = append(lines, fmt.Sprintf("%s that it may read now: were it stolen, their values would be to change", many(len(reads), "secret")))
	}
	if !v.wide && closed > 0 {
		lines = append(lines, fmt.Sprintf("closed, as other values are in use: %s; hanse secret exposed -o wide", many(closed, "line")))
	}
	if !v.wide && deleted > 0 {
		lines = append(lines, fmt.Sprintf("of secrets that were deleted: %s; if their values are in use elsewhere, change them there: hanse secret exposed -o wide", many(deleted, "line")))
	}
	switch {
	case len(lines) > 0:
	case len(e.Items) > 0:
		lines = append(lines, "nothing is open")
	case v.of != "":
		lines = append(lines, v.of+" could read no secret")
	default:
		lines = append(lines, "nothing that is in use could be read by who left")
	}
	return lines
}

// many: 1 line, 2 lines.
func many(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (v exposedView) until(r v1alpha1.SecretReader) string {
	switch {
	case r.Until == nil:
		return "now"
	case v.wide:
		return r.Until.UTC().Format(time.RFC3339)
	}
	return howLongAgo(v.now.Sub(r.Until.Time))
}

// readerWords: iad, removed.
func readerWords(r v1alpha1.SecretReader) string {
	name := r.Cluster
	if name == "" {
		name = "recovery key " + r.Key
	}
	switch r.Why {
	case v1alpha1.ReaderRemoved:
		return name + ", removed"
	case v1alpha1.ReaderNotPicked:
		return name + ", not in the group"
	case v1alpha1.ReaderOtherKey:
		return name + ", with a former key"
	case v1alpha1.ReaderTakenOut:
		return name + ", taken out"
	case v1alpha1.ReaderEarlier:
		return "one of those that left long ago"
	}
	return name
}
